/* Heads that are tilted: by how much, and a look at each that stands it upright. `mien/runtime/upright.py`, in the
   browser; a test holds the two equal. Leaves out: when a picture in which nothing is found is worth it (search.ts). */

import { extent } from "./crop.js";
import type { Detection, Pixels, Point } from "./types.js";
import { type Looker, merged, placed, steady, turnedView } from "./views.js";

const TURNED_FROM = 27;
const TRUSTED = 75;
const SURE = 0.7;
const [SURER, TRIED] = [0.1, 8];
const REST = 15;
const [VIEW, AROUND] = [128, 2];
const [DIRECTIONS, HINTED, FINE] = [[0, 45, 90, 135, 180, 225, 270, 315], 0.05, 256];

// A face's landmarks seen from the front, in units of the distance between the eyes.
const SEEN: Point[] = [[-0.5, 0], [0.5, 0], [0, 0.55], [-0.4, 0.98], [0.4, 0.98]];
const FACE = centred(SEEN);

/** Degrees clockwise, -180..180, by which five landmarks are turned in the picture's plane. */
export function tilt(landmarks: Point[]): number {
  let [across, along] = [0, 0];
  centred(landmarks).forEach(([x, y], i) => {
    across += FACE[i][0] * y - FACE[i][1] * x;
    along += FACE[i][0] * x + FACE[i][1] * y;
  });
  return (Math.atan2(across, along) * 180) / Math.PI;
}

/** Faces with their `turn`, and box and landmarks as they are found where each stands upright; boxes and turns are `steady`. */
export async function turnedUpright(looker: Looker, image: Pixels, found: Detection[]): Promise<Detection[]> {
  const doubtful = !found.some((d) => d.score >= SURE);
  const out: Detection[] = [];
  for (const [i, d] of found.entries()) out.push(await upright(looker, image, d, doubtful && i < TRIED));
  return (out.some((d) => d.turn) ? merged(out) : out).map(steady);
}

/** The faces at weak `hints`, the best first, in views turned by eighths: from small ones to a large one. */
export async function foundTurned(looker: Looker, image: Pixels, hints: Detection[]): Promise<Detection[]> {
  const within = (a: number, b: number, length: number) => a + b > 0 && a + b < 2 * length;
  const inside = hints.filter(({ box: [x0, y0, x1, y1] }) => within(x0, x1, image.width) && within(y0, y1, image.height));
  const found: Detection[] = [];
  for (const hint of merged(inside).slice(0, TRIED)) {
    const face = await inAnyDirection(looker, image, hint);
    if (!face) break;
    found.push(face);
  }
  return merged(found);
}

async function inAnyDirection(looker: Looker, image: Pixels, hint: Detection): Promise<Detection | null> {
  let best: Detection | null = null;
  for (const turn of DIRECTIONS) {
    const d = await lookUpright(looker, image, hint, normal(turn), VIEW, HINTED);
    if (d && (!best || d.score > best.score)) best = d;
  }
  if (!best) return null;
  best = (await lookUpright(looker, image, best, best.turn, FINE)) ?? best;
  return best.score > looker.threshold ? told(best) : null;
}

async function upright(looker: Looker, image: Pixels, found: Detection, doubtful: boolean): Promise<Detection> {
  if (!found.landmarks || found.turn) return found;
  const own = tilt(found.landmarks);
  let [tries, least] = [[180], 0];
  if (Math.abs(own) > TURNED_FROM) tries = (Math.abs(own) > TRUSTED ? [0, 90, 180, 270] : [0, 180]).map((step) => normal(own + step));
  else if (doubtful) least = found.score + SURER;
  else return found;
  const seen: Detection[] = [];
  for (const turn of tries) {
    const d = await lookUpright(looker, image, found, turn);
    if (d && d.score >= least) seen.push(d);
  }
  if (!seen.length) return Math.abs(own) > TURNED_FROM && Math.abs(own) <= TRUSTED ? { ...found, turn: own } : found;
  let best = seen.reduce((a, b) => (b.score > a.score ? b : a));
  if (tries.every((turn) => Math.abs(normal(best.turn - turn)) > REST)) {
    best = (await lookUpright(looker, image, best, best.turn)) ?? best; // it was far from upright in its view
  }
  return told(best);
}

/** `found` without a turn that is too small for turning its crop. */
const told = (found: Detection) => (Math.abs(found.turn) > TURNED_FROM ? found : { ...found, turn: 0 });

/** The face at `found` in a view turned by `turn`, with the turn that its landmarks there tell. */
async function lookUpright(
  looker: Looker, image: Pixels, found: Detection, turn: number, pixels = VIEW, least = looker.threshold,
): Promise<Detection | null> {
  const [left, top, right, bottom] = found.box;
  const [wide, high] = extent(right - left, bottom - top, turn);
  const { small, matrix } = turnedView(image, (left + right) / 2, (top + bottom) / 2, AROUND * Math.sqrt(wide * high), turn, pixels);
  const middle = pixels / 2;
  const near = ({ box, score }: Detection) =>
    score > least && box[0] < middle && middle < box[2] && box[1] < middle && middle < box[3];
  const best = (await looker.look(small, 1)).find(near);
  if (!best?.landmarks) return null;
  const rest = tilt(best.landmarks);
  return Math.abs(rest) > TRUSTED ? null : { ...placed(best, matrix, turn), turn: normal(turn + rest) };
}

/** The same turn over -180 up to 180. */
const normal = (turn: number) => 180 - ((((180 - turn) % 360) + 360) % 360);

function centred(points: Point[]): Point[] {
  const [x, y] = [0, 1].map((axis) => points.reduce((sum, p) => sum + p[axis], 0) / points.length);
  return points.map((p) => [p[0] - x, p[1] - y]);
}
