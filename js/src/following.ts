/* Who is who from frame to frame, prediction sets, and smoothing: the local page's own tracks.js, which a test holds equal
   to `mien/video/tracking.py` and `smoothing.py`, with types. Leaves out: finding faces. */

import { Tracks } from "../../src/mien/web/page/tracks.js";
import type { Box, Face, Spec } from "./types.js";

export interface Track {
  number: number | null;
  box: Box;
  seen: number;
  misses: number;
}

/** A face with its number, and its probabilities before and after smoothing. */
export type Followed = Face & { number: number | null; raw: number[]; smooth: number[]; rawLabel: string };

/** Gives numbers to faces and smooths what they show. */
export interface Follower {
  readonly known: Track[];
  follow(faces: Face[], time: number): Followed[];
  expected(track: Track, time: number): Box;
}

/** A follower by a model's rules. */
export function follower(spec: Spec, rules: Partial<Spec["following"]> = {}): Follower {
  return new Tracks(spec.labels, { ...spec.following, set_threshold: spec.threshold, ...rules });
}

/** The labels that a face with these probabilities may have, the most probable first. */
export function possible(probabilities: number[], spec: Spec): string[] {
  const order = probabilities.map((_, i) => i).sort((a, b) => probabilities[b] - probabilities[a] || a - b);
  const tracks = new Tracks(spec.labels, { ...spec.following, set_threshold: spec.threshold });
  return tracks.possible(probabilities, order);
}
