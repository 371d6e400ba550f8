/* What decided: occlusion maps, as `mien/explain/occlusion.py` has them. Leaves out: drawing. */

import { spread } from "./crop.js";
import { round } from "./resample.js";
import type { Crop, Grid } from "./types.js";

/**
 * How much an answer rests on each pixel of a crop (Zeiler and Fergus 2014, section 4.2): the drop of the most probable
 * class when a square of `side` pixels is covered, averaged over the squares that cover the pixel.
 */
export async function occlusion(
  predict: (crops: Crop[]) => Promise<number[][]>, crop: Crop, side = 8, stride = 4,
): Promise<Grid> {
  const { size } = crop;
  const steps = [...new Set([...Array(Math.ceil((size - side) / stride)).keys()].map((i) => i * stride).concat(size - side))];
  const corners = steps.flatMap((y) => steps.map((x) => [x, y]));
  const grey = round(spread(crop.data)[0]);
  const [whole, ...answers] = await predict([crop, ...corners.map(([x, y]) => covered(crop, x, y, side, grey))]);
  const best = whole.indexOf(Math.max(...whole));
  const [total, count] = [new Float32Array(size * size), new Float32Array(size * size)];
  corners.forEach(([x, y], n) => {
    for (let row = y; row < y + side; row++) {
      for (let at = row * size + x; at < row * size + x + side; at++) {
        total[at] += whole[best] - answers[n][best];
        count[at]++;
      }
    }
  });
  return { width: size, height: size, data: total.map((v, i) => v / count[i]) };
}

function covered({ size, data }: Crop, x: number, y: number, side: number, grey: number): Crop {
  const copy = data.slice();
  for (let plane = 0; plane < data.length; plane += size * size) {
    for (let row = y; row < y + side; row++) copy.fill(grey, plane + row * size + x, plane + row * size + x + side);
  }
  return { size, data: copy };
}
