/* Types of tracks.js for the package in js/, which takes it as it is. */

import type { Follower } from "../../../../js/src/following.js";

export class Tracks implements Follower {
  constructor(labels: string[], rules: Record<string, number | null>);
  readonly known: Follower["known"];
  readonly follow: Follower["follow"];
  readonly expected: Follower["expected"];
  possible(smooth: number[], order: number[]): string[];
}
