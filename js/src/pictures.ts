/* A picture, whatever it comes as -> pixels. The browser decodes; EXIF orientation is applied; transparent pixels are laid
   on white. Leaves out: faces. */

import { shown } from "./options.js";
import { shrink } from "./resample.js";
import { MienError, type Pixels } from "./types.js";

/** What can be predicted: an element that shows a picture, an encoded picture, or pixels. */
export type Picture = Blob | ImageData | Pixels | ImageBitmap | HTMLImageElement | HTMLVideoElement | HTMLCanvasElement | OffscreenCanvas | VideoFrame;

const MAX_PIXELS = 50_000_000;
const KINDS = "an <img>, <video> or <canvas>, a Blob or File, an ImageBitmap, a VideoFrame, or RGBA pixels";

/** The pixels of a picture. `longest`: the longer side is brought down to that, by the browser where it decodes. */
export async function pixelsOf(picture: Picture, longest = Infinity): Promise<Pixels> {
  if (typeof picture !== "object" || picture === null) {
    throw new MienError(`picture must be ${KINDS}, got ${shown(picture)}${typeof picture === "string" ? ": fetch an address first, or show it in an <img>" : ""}`);
  }
  if (isPixels(picture)) return smaller(checked(picture), longest);
  if (isA("Blob", picture)) {
    const bitmap = await decoded(picture as Blob);
    try {
      return drawn(bitmap, bitmap.width, bitmap.height, longest);
    } finally {
      bitmap.close();
    }
  }
  if (isA("HTMLImageElement", picture)) await loaded(picture as HTMLImageElement);
  const source = picture as Exclude<Picture, Blob | Pixels>;
  const [width, height] = sides(source);
  if (width > 0 && height > 0) return drawn(source as CanvasImageSource, width, height, longest);
  if (width === 0 || height === 0) throw new MienError(`picture must show something, but this ${shown(picture)} is ${width} x ${height} pixels${hint(picture)}`);
  throw new MienError(`picture must be ${KINDS}, got ${shown(picture)}`);
}

const isA = (kind: string, value: object) => {
  const known = (globalThis as Record<string, unknown>)[kind];
  return typeof known === "function" && value instanceof known;
};

function hint(picture: object): string {
  if (isA("HTMLVideoElement", picture)) return ": wait for its event loadeddata";
  return isA("ImageBitmap", picture) || isA("VideoFrame", picture) ? ": it was closed" : "";
}

function isPixels(picture: object): picture is Pixels {
  return "data" in picture && "width" in picture && "height" in picture;
}

function checked(pixels: Pixels): Pixels {
  const { width, height, data } = pixels;
  const whole = [width, height].every((n) => Number.isInteger(n) && n > 0);
  if (!whole) throw new MienError(`pixels must have a width and a height of whole numbers from 1, got ${shown(width)} x ${shown(height)}`);
  if (!(data instanceof Uint8ClampedArray || data instanceof Uint8Array)) throw new MienError(`pixels must be numbers 0..255 in a Uint8Array or a Uint8ClampedArray, got ${shown(data)}`);
  if (data.length !== 4 * width * height) throw new MienError(`pixels must be RGBA, ${4 * width * height} values for ${width} x ${height}, got ${data.length}`);
  limited(width, height);
  return pixels;
}

function limited(width: number, height: number): void {
  if (width * height <= MAX_PIXELS) return;
  throw new MienError(`${width} x ${height} pixels are over the limit of ${MAX_PIXELS.toLocaleString("en")}; make the picture smaller`);
}

/** Width and height, brought down to `longest`. */
function fitted(width: number, height: number, longest: number): [number, number] {
  const ratio = Math.min(1, longest / Math.max(width, height));
  return [Math.max(1, Math.round(width * ratio)), Math.max(1, Math.round(height * ratio))];
}

const smaller = (pixels: Pixels, longest: number) => shrink(pixels, ...fitted(pixels.width, pixels.height, longest));

async function decoded(blob: Blob): Promise<ImageBitmap> {
  try {
    return await createImageBitmap(blob, { imageOrientation: "from-image", premultiplyAlpha: "none", colorSpaceConversion: "none" });
  } catch {
    const kind = blob.type ? ` (${blob.type})` : "";
    throw new MienError(`this browser cannot read it as a picture${kind}: it is damaged, cut short, or of a kind that it does not know`);
  }
}

/** Waits for an `<img>` that is still being loaded. */
async function loaded(image: HTMLImageElement): Promise<void> {
  if (image.complete && image.naturalWidth) return;
  await image.decode().catch((cause: unknown) => {
    throw new MienError(`the <img> shows no picture: ${shown(image.currentSrc || image.src)} cannot be loaded, or is none`, { cause });
  });
}

function sides(source: object): [number, number] {
  const of = source as Record<string, number>;
  return [
    of.naturalWidth ?? of.videoWidth ?? of.displayWidth ?? of.width, of.naturalHeight ?? of.videoHeight ?? of.displayHeight ?? of.height,
  ];
}

function drawn(source: CanvasImageSource, width: number, height: number, longest: number): Pixels {
  limited(width, height);
  const [w, h] = fitted(width, height, longest);
  const pen = paper(w, h).getContext("2d", { alpha: false, willReadFrequently: true }) as CanvasRenderingContext2D | null;
  if (!pen) throw new MienError("this browser gives no canvas to read pixels from");
  pen.fillStyle = "#fff";
  pen.fillRect(0, 0, w, h);
  try {
    pen.drawImage(source, 0, 0, w, h);
    return pen.getImageData(0, 0, w, h);
  } catch (cause) {
    const { name, message } = cause as Error;
    if (name !== "SecurityError") throw new MienError(`the pixels of this ${shown(source)} of ${width} x ${height} cannot be read (${message})`, { cause });
    throw new MienError(
      `this ${shown(source)} shows a picture of another host, whose pixels the browser keeps from pages: load it with crossorigin="anonymous" from a host that allows it (CORS), or from your own`, { cause },
    );
  }
}

function paper(width: number, height: number): OffscreenCanvas | HTMLCanvasElement {
  if (typeof OffscreenCanvas !== "undefined") return new OffscreenCanvas(width, height);
  return Object.assign(document.createElement("canvas"), { width, height });
}
