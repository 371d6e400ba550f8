/* How good the picture of a face is: `mien/runtime/quality.py`, in the browser; the limits come with the model.
   Leaves out: what the face expresses. */

import { greyOf, spread } from "./crop.js";
import type { Box, Crop, Point, Quality, Spec } from "./types.js";

type Limits = Spec["quality"];
type Vector = [number, number, number];

/** Measure one face: its crop as cut, its box and landmarks in a picture of these sides, the crop's turn. */
export function measure(crop: Crop, box: Box, landmarks: Point[] | null, longSide: number, turn: number, by: Limits): Quality {
  const [left, top, right, bottom] = box;
  const side = Math.sqrt(Math.max(0, (right - left) * (bottom - top)));
  const seen = greyOf(crop);
  const [brightness, contrast] = spread(seen.data);
  const edges = spread(laplacian(seen))[1];
  const sharpness = (edges * edges) / Math.max(contrast * contrast, 1e-6);
  const angles = landmarks && pose(landmarks, longSide, by.head);
  const [yaw, pitch, roll] = angles ?? [null, null, null];
  const found = { side, sharpness, brightness, contrast, yaw, pitch, roll };
  return { ...found, problems: [...problems(found, turn, by.limits)] };
}

/** What makes the face unusable, in words. */
function* problems(q: Omit<Quality, "problems">, turn: number, limits: Limits["limits"]): Generator<string> {
  if (q.side < limits.side) yield `too small: ${q.side.toFixed(1)} pixels, ${limits.side} are needed`;
  if (q.contrast < limits.contrast) yield `hardly any contrast: ${q.contrast.toFixed(1)} grey values, ${limits.contrast} are needed`;
  else if (q.sharpness < limits.sharpness) yield `too blurred: sharpness ${q.sharpness.toFixed(4)}, ${limits.sharpness} is needed`;
  for (const [angle, limit, how] of [[q.yaw, limits.yaw, "sideways"], [q.pitch, limits.pitch, "up or down"]] as const) {
    if (angle !== null && Math.abs(angle) > limit) {
      yield `turned too far ${how}: ${Math.abs(angle).toFixed(0)} degrees, up to ${limit} can be used`;
    }
  }
  const rest = q.roll === null ? 0 : Math.abs(((((q.roll - turn + 180) % 360) + 360) % 360) - 180);
  if (rest > limits.roll) {
    const what = rest > 135 ? "upside down" : "tilted too far";
    yield `${what}: ${rest.toFixed(0)} degrees off upright, up to ${limits.roll} can be used`;
  }
}

/** How much each pixel differs from its four neighbours; beyond the edge the picture is mirrored without its last row. */
function laplacian({ size, data }: Crop): Float32Array {
  const out = new Float32Array(size * size);
  const inside = (v: number) => (v < 0 ? -v : v >= size ? 2 * size - 2 - v : v);
  for (let y = 0, to = 0; y < size; y++) {
    const [up, down, row] = [inside(y - 1) * size, inside(y + 1) * size, y * size];
    for (let x = 0; x < size; x++) {
      out[to++] = data[up + x] + data[down + x] + data[row + inside(x - 1)] + data[row + inside(x + 1)] - 4 * data[row + x];
    }
  }
  return out;
}

/**
 * Yaw, pitch and roll in degrees of a head with these points, against the line of sight; null where none can be told.
 *
 * The rotation R and place t with the least sum of |(R X + t)_z (u, v) - (R X + t)_xy|^2 over the points, which is what
 * OpenCV's SQPNP (Terzakis and Lourakis 2020) minimises. t follows from R; R is found by Newton's method on the three
 * angles of a turn, from several starts, for the error of five points has more than one hollow.
 */
function pose(landmarks: Point[], focal: number, head: number[][]): Vector | null {
  if (!landmarks.flat().every(Number.isFinite)) return null;
  const [x, y] = [0, 1].map((axis) => landmarks.reduce((sum, p) => sum + p[axis], 0) / landmarks.length);
  const rays = landmarks.map((p): Point => [(p[0] - x) / focal, (p[1] - y) / focal]);
  const form = quadratic(rays, head);
  if (!form) return null;
  let best: { r: number[]; error: number } | null = null;
  const roll = Math.atan2(rays[1][1] - rays[0][1], rays[1][0] - rays[0][0]);
  for (const yaw of [-0.6, 0, 0.6]) {
    for (const pitch of [-0.5, 0.5]) {
      const found = descend(form.omega, product(turnZ(roll), product(turnY(yaw), turnX(pitch))));
      if (form.depth(found.r) > 0 && (!best || found.error < best.error)) best = found;
    }
  }
  if (!best) return null;
  const m = best.r;
  const degrees = (v: number) => (v * 180) / Math.PI;
  return [degrees(Math.atan2(m[6], Math.hypot(m[7], m[8]))), degrees(Math.atan2(m[7], m[8])), degrees(Math.atan2(m[3], m[0]))];
}

/** The error as a quadratic form of the nine numbers of R, t being the best for each R; and the head's depth for R. */
function quadratic(rays: Point[], head: number[][]): { omega: number[][]; depth: (r: number[]) => number } | null {
  // error of a point: Q (A r + t), A the 3 x 9 matrix with A r = R X, Q = [[-1, 0, u], [0, -1, v]]
  const sumQ = zeros(3, 3);
  const sumQA = zeros(3, 9);
  const weights = rays.map(([u, v]) => [[1, 0, -u], [0, 1, -v], [-u, -v, u * u + v * v]]);
  weights.forEach((w, n) => {
    for (let i = 0; i < 3; i++) {
      for (let j = 0; j < 3; j++) {
        sumQ[i][j] += w[i][j];
        for (let k = 0; k < 3; k++) sumQA[i][3 * j + k] += w[i][j] * head[n][k];
      }
    }
  });
  const back = inverse3(sumQ);
  if (!back) return null;
  const place = back.map((row) => Array.from({ length: 9 }, (_, k) => -row.reduce((sum, v, j) => sum + v * sumQA[j][k], 0)));
  const omega = zeros(9, 9);
  weights.forEach((w, n) => {
    const whole = place.map((row, j) => row.map((v, k) => v + (Math.floor(k / 3) === j ? head[n][k % 3] : 0)));
    for (let a = 0; a < 9; a++) {
      for (let b = 0; b < 9; b++) {
        for (let i = 0; i < 3; i++) for (let j = 0; j < 3; j++) omega[a][b] += whole[i][a] * w[i][j] * whole[j][b];
      }
    }
  });
  return { omega, depth: (r) => place[2].reduce((sum, v, k) => sum + v * r[k], 0) };
}

/** Newton's method with damping (Levenberg and Marquardt) over small turns before R. */
function descend(omega: number[][], start: number[]): { r: number[]; error: number } {
  let [r, damping] = [start, 1e-3];
  let error = value(omega, r);
  for (let step = 0; step < 40; step++) {
    const columns = [0, 1, 2].map((axis) => product(generator(axis), r));
    const pulled = columns.map((c) => apply(omega, c));
    const slope = columns.map((c) => dot(c, apply(omega, r)));
    const bend = columns.map((c) => pulled.map((p) => dot(c, p)));
    const scale = 1e-12 + bend[0][0] + bend[1][1] + bend[2][2];
    for (let i = 0; i < 3; i++) bend[i][i] += damping * scale;
    const back = inverse3(bend);
    if (!back) break;
    const turn = back.map((row) => -row.reduce((sum, v, k) => sum + v * slope[k], 0)) as Vector;
    const next = product(turned(turn), r);
    const now = value(omega, next);
    const size = Math.hypot(...turn);
    if (now < error) [r, error, damping] = [next, now, damping / 10];
    else damping *= 10;
    if (size < 1e-9 || damping > 1e9) break;
  }
  return { r, error };
}

const zeros = (rows: number, columns: number) => Array.from({ length: rows }, () => new Array<number>(columns).fill(0));
const dot = (a: number[], b: number[]) => a.reduce((sum, v, i) => sum + v * b[i], 0);
const apply = (m: number[][], v: number[]) => m.map((row) => dot(row, v));
const value = (omega: number[][], r: number[]) => dot(r, apply(omega, r));

/** The product of two 3 x 3 matrices, nine numbers each. */
function product(a: number[], b: number[]): number[] {
  return Array.from({ length: 9 }, (_, i) => {
    const [row, column] = [3 * Math.floor(i / 3), i % 3];
    return a[row] * b[column] + a[row + 1] * b[column + 3] + a[row + 2] * b[column + 6];
  });
}

const turnX = (a: number) => [1, 0, 0, 0, Math.cos(a), -Math.sin(a), 0, Math.sin(a), Math.cos(a)];
const turnY = (a: number) => [Math.cos(a), 0, -Math.sin(a), 0, 1, 0, Math.sin(a), 0, Math.cos(a)];
const turnZ = (a: number) => [Math.cos(a), -Math.sin(a), 0, Math.sin(a), Math.cos(a), 0, 0, 0, 1];
const generator = (axis: number) =>
  [[0, 0, 0, 0, 0, -1, 0, 1, 0], [0, 0, 1, 0, 0, 0, -1, 0, 0], [0, -1, 0, 1, 0, 0, 0, 0, 0]][axis];

/** The rotation about a vector, by its length in radians (Rodrigues). */
function turned(v: Vector): number[] {
  const angle = Math.hypot(...v);
  if (angle < 1e-12) return [1, 0, 0, 0, 1, 0, 0, 0, 1];
  const [x, y, z] = v.map((c) => c / angle);
  const [c, s] = [Math.cos(angle), Math.sin(angle)];
  const d = 1 - c;
  return [
    c + x * x * d, x * y * d - z * s, x * z * d + y * s,
    y * x * d + z * s, c + y * y * d, y * z * d - x * s,
    z * x * d - y * s, z * y * d + x * s, c + z * z * d,
  ];
}

function inverse3(m: number[][]): number[][] | null {
  const [[a, b, c], [d, e, f], [g, h, i]] = m;
  const det = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g);
  if (!Number.isFinite(det) || Math.abs(det) < 1e-30) return null;
  return [
    [(e * i - f * h) / det, (c * h - b * i) / det, (b * f - c * e) / det],
    [(f * g - d * i) / det, (a * i - c * g) / det, (c * d - a * f) / det],
    [(d * h - e * g) / det, (b * g - a * h) / det, (a * e - b * d) / det],
  ];
}
