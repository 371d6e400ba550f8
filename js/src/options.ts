/* Holds what a caller gives to its rules: an error names the argument, its value, the rule and, where there is one, the remedy.
   Leaves out: which options there are (predictor.ts, stream.ts). */

import { MienError } from "./types.js";

/** A value as an error shows it. */
export function shown(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value !== "object" || value === null) return String(value);
  return Object.prototype.toString.call(value).slice(8, -1); // such as HTMLVideoElement
}

/** Refuses an option that nobody knows, such as one that is misspelt. */
export function onlyOptions(of: string, given: object, names: readonly string[]): void {
  if (typeof given !== "object" || given === null) throw new MienError(`${of} takes an object of options, got ${shown(given)}`);
  const unknown = Object.keys(given).filter((name) => !names.includes(name));
  if (unknown.length) throw new MienError(`${of} has no option ${unknown.map(shown).join(", ")}; it has ${names.join(", ")}`);
}

/** Refuses what is none of these words. */
export function oneOf(name: string, value: unknown, words: readonly string[]): void {
  if (words.includes(value as string)) return;
  const all = words.map(shown);
  throw new MienError(`${name} must be ${all.slice(0, -1).join(", ")} or ${all.at(-1)}, got ${shown(value)}`);
}

/** Refuses what is no number of at least `least` and at most `most`; `rule` says so in words. */
export function inRange(name: string, value: unknown, rule: string, least: number, most = Number.MAX_VALUE): void {
  if (typeof value === "number" && value >= least && value <= most) return;
  throw new MienError(`${name} must be ${rule}, got ${shown(value)}`);
}
