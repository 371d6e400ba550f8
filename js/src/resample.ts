/* Pictures made smaller, larger, blurred and turned, with the arithmetic that Python's side takes from OpenCV.
   Leaves out: which part of a picture is wanted, and why. */

import type { Pixels } from "./types.js";

/** Affine (2, 3), row by row: [a, b, c, d, e, f], x' = a x + b y + c, y' = d x + e y + f. */
export type Matrix = [number, number, number, number, number, number];

/** One channel of values. */
export interface Plane {
  readonly width: number;
  readonly height: number;
  readonly data: Float32Array;
}

/** To the nearest whole number, halves to the even one, as Python and OpenCV round. */
export function round(value: number): number {
  const low = Math.floor(value);
  const rest = value - low;
  return rest > 0.5 || (rest === 0.5 && low % 2 !== 0) ? low + 1 : low;
}

/** A part of a picture: columns left..right and rows top..bottom, the last ones left out. */
export function part(image: Pixels, left: number, top: number, right: number, bottom: number): Pixels {
  if (left === 0 && top === 0 && right === image.width && bottom === image.height) return image;
  const [width, height] = [right - left, bottom - top];
  const data = new Uint8ClampedArray(4 * width * height);
  for (let y = 0; y < height; y++) {
    const from = 4 * ((top + y) * image.width + left);
    data.set(image.data.subarray(from, from + 4 * width), 4 * y * width);
  }
  return { width, height, data };
}

/** For each place of the result: the first source place and the weights from there on, which sum to 1. */
interface Taps {
  first: Int32Array;
  count: Int32Array;
  weights: Float32Array;
  most: number;
}

/** By area: each place of the result is the mean of the `scale` places that it covers. */
function areaTaps(from: number, to: number, scale: number): Taps {
  const most = Math.ceil(scale) + 2;
  const taps = { first: new Int32Array(to), count: new Int32Array(to), weights: new Float32Array(to * most), most };
  for (let i = 0; i < to; i++) {
    const [low, high] = [i * scale, Math.min((i + 1) * scale, from)];
    const first = Math.min(Math.floor(low + 1e-6), from - 1);
    const last = Math.min(Math.max(Math.ceil(high - 1e-6), first + 1), from);
    let sum = 0;
    for (let k = first; k < last; k++) sum += Math.min(k + 1, high) - Math.max(k, low);
    taps.first[i] = first;
    taps.count[i] = last - first;
    for (let k = first; k < last; k++) taps.weights[i * most + k - first] = (Math.min(k + 1, high) - Math.max(k, low)) / sum;
  }
  return taps;
}

/** Between the two nearest places: the first, the second, and their weights in 2048ths, as OpenCV has them. */
function linearTaps(from: number, to: number): { at: Int32Array; next: Int32Array; first: Int32Array; second: Int32Array } {
  const [at, next, first, second] = Array.from({ length: 4 }, () => new Int32Array(to));
  for (let i = 0; i < to; i++) {
    const place = Math.fround(((i + 0.5) * from) / to - 0.5);
    at[i] = Math.min(Math.max(Math.floor(place), 0), from - 1);
    next[i] = Math.min(at[i] + 1, from - 1);
    const share = place < 0 || place >= from - 1 ? 0 : place - Math.floor(place);
    first[i] = round((1 - share) * 2048);
    second[i] = round(share * 2048);
  }
  return { at, next, first, second };
}

/** A picture at `width` x `height`, between the pixels linear: for one that grows. */
export function enlarge(image: Pixels, width: number, height: number): Pixels {
  if (width === image.width && height === image.height) return image;
  const across = linearTaps(image.width, width);
  const down = linearTaps(image.height, height);
  const rows = new Map<number, Int32Array>(); // source rows that were made wide, as long as they are wanted
  const wide = (y: number) => {
    let row = rows.get(y);
    if (!row) rows.set(y, (row = stretched(image, y, across, width)));
    return row;
  };
  const out = new Uint8ClampedArray(4 * width * height).fill(255);
  for (let y = 0, to = 0; y < height; y++) {
    for (const row of rows.keys()) if (row < down.at[y]) rows.delete(row);
    const [upper, lower, a, b] = [wide(down.at[y]), wide(down.next[y]), down.first[y], down.second[y]];
    for (let i = 0; i < upper.length; to++) {
      for (let k = 0; k < 3; k++, i++) out[to++] = (((a * (upper[i] >> 4)) >> 16) + ((b * (lower[i] >> 4)) >> 16) + 2) >> 2;
    }
  }
  return { width, height, data: out };
}

/** One row at another width, RGB, in 2048ths. */
function stretched({ data, width: from }: Pixels, y: number, taps: ReturnType<typeof linearTaps>, width: number): Int32Array {
  const out = new Int32Array(3 * width);
  for (let x = 0, to = 0; x < width; x++) {
    const [left, right] = [4 * (y * from + taps.at[x]), 4 * (y * from + taps.next[x])];
    for (let k = 0; k < 3; k++) out[to++] = data[left + k] * taps.first[x] + data[right + k] * taps.second[x];
  }
  return out;
}

/** A picture at `width` x `height`, by area: for one that shrinks. `scale` as OpenCV's 1 / fx, where given. */
export function shrink(image: Pixels, width: number, height: number, scale?: number): Pixels {
  if (width === image.width && height === image.height) return image;
  const across = areaTaps(image.width, width, scale ?? image.width / width);
  const down = areaTaps(image.height, height, scale ?? image.height / height);
  const out = new Uint8ClampedArray(4 * width * height).fill(255);
  const sum = new Float32Array(3 * width);
  const row = new Float32Array(3 * width); // the last source row that was made narrow: two results may share it
  let made = -1;
  for (let y = 0; y < height; y++) {
    sum.fill(0);
    for (let k = 0; k < down.count[y]; k++) {
      if (down.first[y] + k !== made) narrow(image, (made = down.first[y] + k), across, row);
      const weight = down.weights[y * down.most + k];
      for (let i = 0; i < sum.length; i++) sum[i] += weight * row[i];
    }
    for (let to = 4 * y * width, at = 0; at < sum.length; to += 4) {
      out[to] = sum[at++]; // which a clamped array rounds, halves to the even one
      out[to + 1] = sum[at++];
      out[to + 2] = sum[at++];
    }
  }
  return { width, height, data: out };
}

/** One row of a picture at another width, RGB, into `out`. */
function narrow({ data, width }: Pixels, row: number, { first, count, weights, most }: Taps, out: Float32Array): void {
  for (let x = 0, to = 0; to < out.length; x++) {
    // plain variables: with a list that is taken apart here V8 takes nearly twice as long for all of shrink
    let at = x * most;
    let from = 4 * (row * width + first[x]);
    let weight = weights[at];
    let r = weight * data[from];
    let g = weight * data[from + 1];
    let b = weight * data[from + 2];
    for (const end = at + count[x]; ++at < end; ) {
      from += 4;
      weight = weights[at];
      r += weight * data[from];
      g += weight * data[from + 1];
      b += weight * data[from + 2];
    }
    out[to++] = r;
    out[to++] = g;
    out[to++] = b;
  }
}

/** A part of a picture in grey, whole numbers, as OpenCV weighs the colours. */
export function grey(image: Pixels, left: number, top: number, right: number, bottom: number): Plane {
  const [width, height] = [right - left, bottom - top];
  const data = new Float32Array(width * height);
  for (let y = 0, to = 0; y < height; y++) {
    for (let x = 0, from = 4 * ((top + y) * image.width + left); x < width; x++, from += 4) {
      data[to++] = (image.data[from] * 9798 + image.data[from + 1] * 19235 + image.data[from + 2] * 3735 + 16384) >> 15;
    }
  }
  return { width, height, data };
}

/** One channel of a part of a picture: 0 red, 1 green, 2 blue. */
export function channel(image: Pixels, k: number, left: number, top: number, right: number, bottom: number): Plane {
  const { width, height, data } = part(image, left, top, right, bottom);
  return { width, height, data: Float32Array.from({ length: width * height }, (_, i) => data[4 * i + k]) };
}

/**
 * Gaussian blur of whole numbers, to the last bit as OpenCV has it: its kernel is in 256ths, what rounding loses goes to the
 * next weight. Beyond the edge the picture is mirrored without its last row.
 */
export function blur({ width, height, data }: Plane, sigma: number): Plane {
  const kernel = kernel256(sigma);
  const across = slide(data, kernel, width, height, 1, width);
  const both = slide(across, kernel, height, width, width, 1);
  return { width, height, data: Float32Array.from(both, (v) => (v + 32768) >> 16) };
}

function kernel256(sigma: number): Int32Array {
  const reach = (round(sigma * 6 + 1) | 1) >> 1;
  const exact = Array.from({ length: 2 * reach + 1 }, (_, i) => Math.exp(-((i - reach) ** 2) / (2 * sigma * sigma)));
  const total = exact.reduce((a, b) => a + b);
  const kernel = new Int32Array(2 * reach + 1);
  let [lost, sum] = [0, 0];
  for (let i = 0; i < reach; i++) {
    const wanted = (exact[i] / total) * 256 + lost;
    kernel[i] = kernel[2 * reach - i] = round(wanted);
    lost = wanted - kernel[i];
    sum += 2 * kernel[i];
  }
  kernel[reach] = 256 - sum;
  return kernel;
}

/** `lines` lines of `length` places, `step` apart, each weighed with its neighbours. */
function slide(data: ArrayLike<number>, kernel: Int32Array, length: number, lines: number, step: number, line: number): Int32Array {
  const [out, reach] = [new Int32Array(data.length), kernel.length >> 1];
  for (let i = 0; i < length; i++) {
    for (let k = -reach; k <= reach; k++) {
      const from = mirrored(i + k, length) * step;
      const weight = kernel[k + reach];
      for (let n = 0; n < lines; n++) out[i * step + n * line] += weight * data[from + n * line];
    }
  }
  return out;
}

function mirrored(at: number, length: number): number {
  if (length === 1) return 0;
  const period = 2 * length - 2;
  const rest = ((at % period) + period) % period;
  return rest < length ? rest : period - rest;
}

/** The inverse of an affine. */
export function inverse([a, b, c, d, e, f]: Matrix): Matrix {
  const det = a * e - b * d;
  const [p, q, r, s] = [e / det, -b / det, -d / det, a / det];
  return [p, q, -(p * c + q * f), r, s, -(r * c + s * f)];
}

/** Where an affine takes a point. */
export function moved([a, b, c, d, e, f]: Matrix, x: number, y: number): [number, number] {
  return [a * x + b * y + c, d * x + e * y + f];
}

/**
 * A square of `size` whose pixel (x, y) lies at `back`(x, y) in the source, between pixels linear, beyond the edge the
 * last pixel. `read(at, channel)` gives the source's value at place `at`, row by row. In single precision, as OpenCV.
 */
export function warp(
  width: number, height: number, back: Matrix, size: number, channels: number, read: (at: number, channel: number) => number,
): Uint8ClampedArray {
  const f = Math.fround;
  const [a, b, c, d, e, g] = back.map(f);
  const out = new Uint8ClampedArray(size * size * channels);
  const within = (v: number, n: number) => Math.min(Math.max(v, 0), n - 1);
  const between = (p: number, q: number, share: number) => f(p + f(share * f(q - p)));
  for (let y = 0, to = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      const [px, py] = [f(x * a + f(f(y * b) + c)), f(x * d + f(f(y * e) + g))]; // x * a is added unrounded, by one instruction
      const [left, top] = [Math.floor(px), Math.floor(py)];
      const [u, v] = [f(px - left), f(py - top)];
      const [x0, x1] = [within(left, width), within(left + 1, width)];
      const [y0, y1] = [within(top, height) * width, within(top + 1, height) * width];
      for (let k = 0; k < channels; k++) {
        const upper = between(read(y0 + x0, k), read(y0 + x1, k), u);
        const lower = between(read(y1 + x0, k), read(y1 + x1, k), u);
        out[to++] = round(between(upper, lower, v));
      }
    }
  }
  return out;
}
