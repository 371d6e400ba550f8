/* Heads that are tilted: by how much, and a look at each that stands it upright. `mien/runtime/upright.py`, in the
   browser; a test holds the two equal. Leaves out: pictures in which nothing is found until they are turned. */

import { extent } from "./crop.js";
import { type Matrix, moved, part, round, shrink, warp } from "./resample.js";
import { type Looker, merged, placed } from "./search.js";
import type { Detection, Pixels, Point } from "./types.js";

const TURNED_FROM = 27;
const TRUSTED = 75;
const SURE = 0.7;
const [SURER, TRIED] = [0.1, 8];
const REST = 15;
const [VIEW, AROUND] = [128, 2];

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

/** Faces with their `turn`, and box and landmarks as they are found where each stands upright. */
export async function turnedUpright(looker: Looker, image: Pixels, found: Detection[]): Promise<Detection[]> {
  const doubtful = !found.some((d) => d.score >= SURE);
  const out: Detection[] = [];
  for (const [i, d] of found.entries()) out.push(await upright(looker, image, d, doubtful && i < TRIED));
  return out.some((d) => d.turn) ? merged(out) : out;
}

async function upright(looker: Looker, image: Pixels, found: Detection, doubtful: boolean): Promise<Detection> {
  if (!found.landmarks) return found;
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
  return Math.abs(best.turn) > TURNED_FROM ? best : { ...best, turn: 0 };
}

/** The face at `found` in a view turned by `turn`, with the turn that its landmarks there tell. */
async function lookUpright(looker: Looker, image: Pixels, found: Detection, turn: number): Promise<Detection | null> {
  const [left, top, right, bottom] = found.box;
  const [wide, high] = extent(right - left, bottom - top, turn);
  const { small, matrix } = view(image, (left + right) / 2, (top + bottom) / 2, AROUND * Math.sqrt(wide * high), turn);
  const middle = VIEW / 2;
  const near = ({ box, score }: Detection) =>
    score > looker.threshold && box[0] < middle && middle < box[2] && box[1] < middle && middle < box[3];
  const best = (await looker.look(small, 1)).find(near);
  if (!best?.landmarks) return null;
  const rest = tilt(best.landmarks);
  return Math.abs(rest) > TRUSTED ? null : { ...placed(best, matrix, turn), turn: normal(turn + rest) };
}

/** A square of `side` pixels of the photo, upright, as a view; and the affine view -> photo. */
function view(image: Pixels, x: number, y: number, side: number, turn: number): { small: Pixels; matrix: Matrix } {
  const reach = side * 0.75 + 2;
  const [x0, y0] = [Math.max(0, Math.trunc(x - reach)), Math.max(0, Math.trunc(y - reach))];
  const [x1, y1] = [Math.min(image.width, Math.trunc(x + reach) + 1), Math.min(image.height, Math.trunc(y + reach) + 1)];
  let source = part(image, x0, y0, x1, y1);
  const k = side / VIEW;
  const [cos, sin] = [k * Math.cos((turn * Math.PI) / 180), k * Math.sin((turn * Math.PI) / 180)];
  const matrix: Matrix = [cos, -sin, x - (cos - sin) * (VIEW / 2), sin, cos, y - (sin + cos) * (VIEW / 2)];
  const before = source;
  if (k > 1) source = shrink(source, round(source.width / k), round(source.height / k), k);
  const [sx, sy] = [source.width / before.width, source.height / before.height];
  const there: Matrix = [
    matrix[0] * sx, matrix[1] * sx, (matrix[2] - x0) * sx, matrix[3] * sy, matrix[4] * sy, (matrix[5] - y0) * sy,
  ];
  [there[2], there[5]] = moved(there, 0.5, 0.5).map((v) => v - 0.5); // it speaks of pixel centres
  const { width, height, data } = source;
  return { small: { width: VIEW, height: VIEW, data: warp(width, height, there, VIEW, 4, (at, c) => data[4 * at + c]) }, matrix };
}

/** The same turn over -180 up to 180. */
const normal = (turn: number) => 180 - ((((180 - turn) % 360) + 360) % 360);

function centred(points: Point[]): Point[] {
  const [x, y] = [0, 1].map((axis) => points.reduce((sum, p) => sum + p[axis], 0) / points.length);
  return points.map((p) => [p[0] - x, p[1] - y]);
}
