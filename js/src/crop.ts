/* From a photo and a face's box to the square that the network wants: `mien/preprocessing.py`, in the browser.
   Leaves out: finding faces, and the network. */

import { blur, channel, grey, inverse, type Matrix, moved, round, warp } from "./resample.js";
import type { Box, Crop, Pixels, Point, Spec } from "./types.js";

type Framing = Pick<Spec, "size" | "crop" | "channels">;

/** Width and height of the box that stands for a face of `width` x `height` which is turned by `turn` degrees. */
export function extent(width: number, height: number, turn: number): [number, number] {
  const side = Math.sqrt(width * height);
  const lean = Math.cos((2 * turn * Math.PI) / 180) / 2;
  return [side * (width / height) ** lean, side * (height / width) ** lean];
}

/** The affine from photo pixels to pixels of the network's square. */
export function cropMatrix([left, top, right, bottom]: Box, { size, crop }: Framing, turn: number): Matrix {
  const [cos, sin] = [Math.cos((turn * Math.PI) / 180), Math.sin((turn * Math.PI) / 180)];
  const [width, height] = extent(right - left, bottom - top, turn);
  const [dx, dy] = [crop.dx * width, crop.dy * height];
  const x = (left + right) / 2 + cos * dx - sin * dy - 0.5;
  const y = (top + bottom) / 2 + sin * dx + cos * dy - 0.5;
  const k = size / (crop.scale * Math.sqrt(width * height));
  const [c, s, middle] = [k * cos, k * sin, size / 2 - 0.5];
  return [c, s, middle - c * x - s * y, -s, c, middle + s * x - c * y];
}

/** The square around a box, grey, or red, green and blue for a network of three channels. */
export function cropFace(image: Pixels, box: Box, spec: Framing, turn: number): Crop {
  const matrix = cropMatrix(box, spec, turn);
  const shrink = 1 / Math.hypot(matrix[0], matrix[1]) / 2;
  const sigma = shrink > 1 ? 0.5 * shrink : 0;
  const back = inverse(matrix);
  const [left, top, right, bottom] = reached(back, spec.size, 3 * sigma + 3, image);
  const reach = [left, top, right, bottom] as const;
  const planes = spec.channels === 3 ? [0, 1, 2].map((k) => channel(image, k, ...reach)) : [grey(image, ...reach)];
  back[2] -= left;
  back[5] -= top;
  const out = new Uint8Array(planes.length * spec.size ** 2);
  planes.forEach((plane, k) => {
    const { width, height, data } = sigma ? blur(plane, sigma) : plane;
    out.set(warp(width, height, back, spec.size, 1, (at) => data[at]), k * spec.size ** 2);
  });
  return { size: spec.size, data: out };
}

/** A crop in grey: as it is, or the luma of its three channels. */
export function greyOf(crop: Crop): Crop {
  const { size, data } = crop;
  const n = size * size;
  if (data.length === n) return crop;
  return { size, data: data.slice(0, n).map((r, i) => (r * 9798 + data[n + i] * 19235 + data[2 * n + i] * 3735 + 16384) >> 15) };
}

/** The part of a photo that a crop is made of: left, top, right, bottom. */
function reached(back: Matrix, size: number, margin: number, { width, height }: Pixels): Box {
  const corners = [[0, 0], [size, 0], [0, size], [size, size]].map(([x, y]) => moved(back, x - 0.5, y - 0.5));
  const span = (values: number[], last: number) => {
    const inside = values.map((v) => Math.min(Math.max(v, 0), last));
    const low = Math.max(Math.floor(Math.min(...inside)) - margin, 0);
    const high = Math.min(Math.ceil(Math.max(...inside)) + margin, last);
    return [Math.trunc(low), Math.trunc(high) + 1];
  };
  const [left, right] = span(corners.map((p) => p[0]), width - 1);
  const [top, bottom] = span(corners.map((p) => p[1]), height - 1);
  return [left, top, right, bottom];
}

/** Mean and standard deviation. */
export function spread(values: ArrayLike<number>): [number, number] {
  let [sum, squares] = [0, 0];
  for (let i = 0; i < values.length; i++) sum += values[i];
  const mean = sum / values.length;
  for (let i = 0; i < values.length; i++) squares += (values[i] - mean) ** 2;
  return [mean, Math.sqrt(squares / values.length)];
}

/** A crop of hardly any contrast, drawn apart around its mean grey; any other one as it is. */
export function raiseContrast(crop: Crop, { flat, usual }: Spec["contrast"]): Crop {
  const [mean, deviation] = spread(greyOf(crop).data);
  if (!(deviation > 0 && deviation < flat)) return crop;
  const apart = (v: number) => Math.min(Math.max(round((v - mean) * (usual / deviation) + mean), 0), 255);
  return { size: crop.size, data: crop.data.map(apart) };
}

/** Points of the crop, 0..size from edge to edge -> pixels of the photo. */
export function toPhoto(points: Point[], box: Box, spec: Framing, turn: number): Point[] {
  const back = inverse(cropMatrix(box, spec, turn));
  return points.map(([x, y]) => moved(back, x - 0.5, y - 0.5).map((v) => v + 0.5) as Point);
}

/** The face's box in a square that is framed as the network wants it: its crop is the square. */
export function boxInside([left, top, right, bottom]: Box, { crop }: Framing): Box {
  const half = (right - left) / crop.scale / 2;
  const [x, y] = [(left + right) / 2 - crop.dx * 2 * half, (top + bottom) / 2 - crop.dy * 2 * half];
  return [x - half, y - half, x + half, y + half];
}
