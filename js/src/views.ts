/* Views of a photo that a detector looks at, shrunk, cut out and turned, and the way back: `mien/runtime/views.py`, in the
   browser. Leaves out: which views to look at (search.ts, upright.ts). */

import { extent } from "./crop.js";
import { type Matrix, moved, part, round, shrink, warp } from "./resample.js";
import type { Box, Detection, Pixels } from "./types.js";

/** One pass of a network over `ratio` times as many pixels a side; gives weak faces as well, the surest first. */
export interface Looker {
  readonly threshold: number;
  look(image: Pixels, ratio: number): Promise<Detection[]>;
}

/** A face that was found in a view of the photo, in pixels of the photo; see `placed` in Python. */
export function placed(found: Detection, m: Matrix, turn = 0): Detection {
  const [left, top, right, bottom] = found.box;
  const [x, y] = moved(m, (left + right) / 2, (top + bottom) / 2);
  const [across, down] = [Math.hypot(m[0], m[3]), Math.hypot(m[1], m[4])];
  const [wide, high] = extent(across * (right - left), down * (bottom - top), turn).map((v) => v / 2);
  const landmarks = found.landmarks && found.landmarks.map(([px, py]) => moved(m, px, py));
  return { ...found, box: [x - wide, y - high, x + wide, y + high], landmarks };
}

/** Each face once, the surest first: of two boxes whose IoU is above `overlap`, the surer one stays. */
export function merged(found: Detection[], overlap = 0.3): Detection[] {
  const kept: Detection[] = [];
  for (const d of [...found].sort((a, b) => b.score - a.score)) {
    if (kept.every((other) => iou(d.box, other.box) <= overlap)) kept.push(d);
  }
  return kept;
}

/** The face with its box to a quarter of a pixel and its turn to half a degree; see `steady` in Python. */
export function steady(found: Detection): Detection {
  return { ...found, box: found.box.map((v) => round(4 * v) / 4) as Box, turn: round(2 * found.turn) / 2 };
}

/** Intersection of two boxes over their union, 0..1. */
export function iou(a: Box, b: Box): number {
  const wide = Math.min(a[2], b[2]) - Math.max(a[0], b[0]);
  const high = Math.min(a[3], b[3]) - Math.max(a[1], b[1]);
  if (wide <= 0 || high <= 0) return 0;
  const area = (box: Box) => (box[2] - box[0]) * (box[3] - box[1]);
  return (wide * high) / (area(a) + area(b) - wide * high);
}

/** What is a face and not only a candidate. */
export const sure = (looker: Looker, found: Detection[]) => found.filter((d) => d.score > looker.threshold);

/** The picture at `ratio` of its size, where that is below 1, and the affine back. */
export function shrunk(image: Pixels, ratio: number): { small: Pixels; back: Matrix } {
  const { width, height } = image;
  const [columns, rows] = [width, height].map((n) => Math.max(1, round(n * Math.min(1, ratio))));
  const small = ratio >= 1 ? image : shrink(image, columns, rows);
  return { small, back: [width / columns, 0, 0, 0, height / rows, 0] };
}

/** The picture turned anti-clockwise. */
export function quarterTurned(image: Pixels, quarters: number): Pixels {
  const [w, h] = [image.width, image.height];
  const [width, height] = quarters === 2 ? [w, h] : [h, w];
  const [from, to] = [words(image), new Uint32Array(width * height)];
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const [sx, sy] = quarters === 1 ? [w - 1 - y, x] : quarters === 2 ? [w - 1 - x, h - 1 - y] : [y, h - 1 - x];
      to[at++] = from[sy * w + sx];
    }
  }
  return { width, height, data: new Uint8ClampedArray(to.buffer) };
}

function words({ data }: Pixels): Uint32Array {
  const aligned = data.byteOffset % 4 ? data.slice() : data;
  return new Uint32Array(aligned.buffer, aligned.byteOffset, aligned.byteLength / 4);
}

export function quarterBack(quarters: number, width: number, height: number): Matrix {
  if (quarters === 1) return [0, -1, width, 1, 0, 0];
  return quarters === 2 ? [-1, 0, width, 0, -1, height] : [0, 1, 0, -1, 0, height];
}

/** A square of `side` pixels of the photo, upright, as a view of `pixels` a side; and the affine view -> photo. */
export function turnedView(image: Pixels, x: number, y: number, side: number, turn: number, pixels: number): { small: Pixels; matrix: Matrix } {
  const reach = side * 0.75 + 2;
  const [x0, y0] = [Math.max(0, Math.trunc(x - reach)), Math.max(0, Math.trunc(y - reach))];
  const [x1, y1] = [Math.min(image.width, Math.trunc(x + reach) + 1), Math.min(image.height, Math.trunc(y + reach) + 1)];
  let source = part(image, x0, y0, x1, y1);
  const k = side / pixels;
  const [cos, sin] = [k * Math.cos((turn * Math.PI) / 180), k * Math.sin((turn * Math.PI) / 180)];
  const matrix: Matrix = [cos, -sin, x - (cos - sin) * (pixels / 2), sin, cos, y - (sin + cos) * (pixels / 2)];
  const before = source;
  if (k > 1) source = shrink(source, round(source.width / k), round(source.height / k), k);
  const [sx, sy] = [source.width / before.width, source.height / before.height];
  const there: Matrix = [
    matrix[0] * sx, matrix[1] * sx, (matrix[2] - x0) * sx, matrix[3] * sy, matrix[4] * sy, (matrix[5] - y0) * sy,
  ];
  [there[2], there[5]] = moved(there, 0.5, 0.5).map((v) => v - 0.5); // it speaks of pixel centres
  const { width, height, data } = source;
  return { small: { width: pixels, height: pixels, data: warp(width, height, there, pixels, 4, (at, c) => data[4 * at + c]) }, matrix };
}
