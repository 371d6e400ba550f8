/* Where a network looked: its spatial transformer's window and maps laid back onto the crop, as
   `mien/runtime/attention_window.py` has it. Leaves out: the network that gives theta, and drawing. */

import type { Grid, Point } from "./types.js";

/** The theta of a network that looks at the whole crop as it is. */
export const IDENTITY = Float32Array.of(1, 0, 0, 0, 1, 0);

/** The window's corners in the crop's pixels, 0..size: top left, top right, bottom right, bottom left. */
export function windowOf(theta: ArrayLike<number>, size: number): Point[] {
  const corners: Point[] = [[-1, -1], [1, -1], [1, 1], [-1, 1]];
  return corners.map(([x, y]) => {
    const at = [theta[0] * x + theta[1] * y + theta[2], theta[3] * x + theta[4] * y + theta[5]];
    return at.map((v) => ((v + 1) / 2) * size) as Point;
  });
}

/** A map over the transformer's output, laid onto the crop's pixels, 0 outside the window; linear between its cells. */
export function laidBack(heat: Grid, theta: ArrayLike<number> | null, size: number): Grid {
  const [a, b, c, d, e, f] = Array.from(theta ?? IDENTITY);
  const det = a * e - b * d;
  const data = new Float32Array(size * size);
  for (let y = 0, to = 0; y < size; y++) {
    for (let x = 0; x < size; x++, to++) {
      const [px, py] = [(2 * x + 1) / size - 1 - c, (2 * y + 1) / size - 1 - f];
      const [u, v] = [(e * px - b * py) / det, (a * py - d * px) / det];
      if (Math.abs(u) <= 1 && Math.abs(v) <= 1) data[to] = between(heat, u, v);
    }
  }
  return { width: size, height: size, data };
}

/** The linear value at u, v, -1..1 from edge to edge. */
function between({ width, height, data }: Grid, u: number, v: number): number {
  const within = (p: number, n: number) => Math.min(Math.max(((p + 1) * n - 1) / 2, 0), n - 1);
  const [x, y] = [within(u, width), within(v, height)];
  const [left, top] = [Math.floor(x), Math.floor(y)];
  const [right, bottom] = [Math.min(left + 1, width - 1), Math.min(top + 1, height - 1)];
  const at = (row: number, column: number) => data[row * width + column];
  const upper = at(top, left) * (1 - (x - left)) + at(top, right) * (x - left);
  const lower = at(bottom, left) * (1 - (x - left)) + at(bottom, right) * (x - left);
  return upper * (1 - (y - top)) + lower * (y - top);
}
