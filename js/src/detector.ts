/* The networks that find faces: `CenterFace` of `mien/runtime/detector.py` on onnxruntime-web.
   Leaves out: where and how large to look (search.ts), tilted heads (upright.ts). */

import { enlarge, round, shrink } from "./resample.js";
import { FULL, search } from "./search.js";
import type { Session } from "./session.js";
import type { Box, Detection, Pixels, Point } from "./types.js";
import { turnedUpright } from "./upright.js";
import { type Looker, merged } from "./views.js";

const STRIDE = 4; // the output maps have a quarter of the input's side
const WEAK = 0.05; // lowest score of a candidate, which is no face yet
const OUTPUTS = ["heatmap", "scale", "offset", "landmarks"] as const;

/** Anything that finds faces, the surest first. */
export interface Detector {
  readonly size: number | null;
  detect(image: Pixels): Promise<Detection[]>;
  /** The same network for pictures whose long side is brought to `size` pixels. */
  atSize?(size: number): Detector;
  /** The same network for a video's frames: small faces are looked for less far. */
  forFrames?(): Detector;
}

/** CenterFace (Xu et al. 2019, arXiv 1911.03599). `size`: long side of what is looked at; null chooses by the picture. */
export class CenterFace implements Detector, Looker {
  constructor(
    private readonly session: Session,
    readonly size: number | null = null,
    readonly threshold = 0.5,
    private readonly most: number | null = null,
  ) {}

  async detect(image: Pixels): Promise<Detection[]> {
    return turnedUpright(this, image, await search(this, image, this.size, this.most));
  }

  atSize(size: number): CenterFace {
    return new CenterFace(this.session, size, this.threshold);
  }

  forFrames(): CenterFace {
    return new CenterFace(this.session, this.size, this.threshold, FULL);
  }

  async look(image: Pixels, ratio: number): Promise<Detection[]> {
    const [columns, rows] = [image.width, image.height].map((n) => Math.max(1, round(n * ratio)));
    const [wide, high] = [columns, rows].map((n) => Math.ceil(n / 32) * 32);
    const { data } = ratio < 1 ? shrink(image, columns, rows) : enlarge(image, columns, rows);
    const input = new Float32Array(3 * wide * high);
    for (let y = 0, from = 0; y < rows; y++) {
      for (let x = 0, to = y * wide; x < columns; x++, from += 4, to++) {
        input[to] = data[from];
        input[to + wide * high] = data[from + 1];
        input[to + 2 * wide * high] = data[from + 2];
      }
    }
    const out = await this.session.run("image", { data: input, dims: [1, 3, high, wide] }, OUTPUTS);
    const maps = OUTPUTS.map((name) => out[name].data);
    const found = decode(maps, wide / STRIDE, high / STRIDE, Math.min(WEAK, this.threshold));
    const [fx, fy] = [image.width / columns, image.height / rows];
    return merged(found).map((d) => ({
      ...d,
      box: d.box.map((v, i) => v * (i % 2 ? fy : fx)) as Box,
      landmarks: d.landmarks!.map(([x, y]): Point => [x * fx, y * fy]),
    }));
  }
}

/** No detector: the picture is a face crop already; the box is the largest centred square. */
export class WholeImage implements Detector {
  readonly size = null;

  async detect({ width, height }: Pixels): Promise<Detection[]> {
    const side = Math.min(width, height);
    const [left, top] = [(width - side) / 2, (height - side) / 2];
    return [{ box: [left, top, left + side, top + side], score: 1, landmarks: null, turn: 0 }];
  }
}

/** Maps of heat, scale, offset and landmarks to faces in input pixels; see `_decode` in Python. */
function decode([heat, scale, offset, landmarks]: Float32Array[], width: number, height: number, threshold: number): Detection[] {
  const [found, n] = [[] as Detection[], width * height];
  for (let at = 0; at < n; at++) {
    if (!(heat[at] > threshold)) continue;
    const [high, wide] = [at, at + n].map((i) => Math.exp(Math.min(Math.max(scale[i], -8), 8)) * STRIDE);
    const left = ((at % width) + offset[at + n] + 0.5) * STRIDE - wide / 2;
    const top = (Math.floor(at / width) + offset[at] + 0.5) * STRIDE - high / 2;
    const points = [0, 1, 2, 3, 4].map((i): Point => [
      landmarks[at + (2 * i + 1) * n] * wide + left, landmarks[at + 2 * i * n] * high + top,
    ]);
    found.push({ box: [left, top, left + wide, top + high], score: heat[at], landmarks: points, turn: 0 });
  }
  return found;
}
