/* Reads what tests/browser/golden.py wrote: pictures, crops, and what Python says of them. */

import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";

/** The folder that MIEN_GOLDEN names, or null. */
export const folder = process.env.MIEN_GOLDEN && existsSync(process.env.MIEN_GOLDEN) ? resolve(process.env.MIEN_GOLDEN) : null;

/** Reads a model's file from the folder. */
export const files = async (name) => new Uint8Array(readFileSync(join(folder, name)));

export function golden() {
  const pixels = readFileSync(join(folder, "pictures.bin"));
  const crops = readFileSync(join(folder, "crops.bin"));
  const said = JSON.parse(readFileSync(join(folder, "golden.json"), "utf8"));
  const picture = ({ at, photo: { width, height } }) => ({ width, height, data: new Uint8Array(pixels.buffer, pixels.byteOffset + at, 4 * width * height) });
  const crop = (at, size) => ({ size, data: new Uint8Array(crops.buffer, crops.byteOffset + at, size * size) });
  return { ...said, picture, crop };
}
