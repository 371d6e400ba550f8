/* The records that go in and come out: pixels, what a model says of itself, detections, faces and photos.
   Faces and photos have the fields of Python's `Face` and `Photo`, under the same names (docs/columns.md says what each
   means). Leaves out: how they come about. */

import { round as even } from "./resample.js";

/** x and y in pixels of the photo, measured from its left and top edge. */
export type Point = [number, number];

/** left, top, right, bottom in pixels of the photo. */
export type Box = [number, number, number, number];

/** Pixels as a canvas has them: RGBA, row by row; what lies in A is not looked at. An `ImageData` is one. */
export interface Pixels {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8ClampedArray | Uint8Array;
}

/** A square of grey values; or of a network in colour three, one after the other: red, green, blue. */
export interface Crop {
  readonly size: number;
  readonly data: Uint8Array;
}

/** A map of `width` x `height` values, row by row. */
export interface Grid {
  readonly width: number;
  readonly height: number;
  readonly data: Float32Array;
}

/** One of a network's heads. */
export interface Head {
  name: string;
  labels: string[];
  output: string;
  kind: "classification" | "multilabel" | "regression";
  temperature: number;
  threshold: number | null;
}

/** By which faces are followed and smoothed; seconds, see `mien/video/rules.py`. */
export type Rules = Record<string, number | null> & { gap: number; max_gap: number; smooth: number };

/** What stands in `NAME.json` beside a model: how its input is made and what its answers mean. */
export interface Spec {
  name: string;
  labels: string[];
  size: number;
  /** 1 for grey, 3 for colour; `mean` and `std` are then one number a channel. */
  channels: number;
  mean: number | number[];
  std: number | number[];
  crop: { scale: number; dx: number; dy: number };
  temperature: number;
  threshold: number | null;
  heads: Head[];
  colours: Record<string, string>;
  accuracy: string;
  intended_use: string;
  licence: string;
  mien: string;
  following: Rules;
  quality: { limits: Record<"side" | "sharpness" | "contrast" | "yaw" | "pitch" | "roll", number>; head: number[][] };
  contrast: { flat: number; usual: number };
  file: string;
  bytes: number;
  sha256: string;
  /** Whether its weights are stored small, but computed as floats: the detector's. */
  floats?: boolean;
}

/** One face in a picture, before the network; `turn`: degrees clockwise by which its crop is turned. */
export interface Detection {
  box: Box;
  score: number;
  landmarks: Point[] | null;
  turn: number;
}

/** What was measured of a face; `problems` names what makes it unusable. */
export interface Quality {
  side: number;
  sharpness: number;
  brightness: number;
  contrast: number;
  yaw: number | null;
  pitch: number | null;
  roll: number | null;
  problems: string[];
}

/** One face of a photo, and what its expression was taken for. */
export interface Face extends Detection {
  label: string;
  confidence: number;
  uncertain: boolean;
  /** The expressions that it may be, the most probable first, at least one. */
  prediction_set: string[];
  /** Expression -> probability, in the model's order. */
  probabilities: Record<string, number>;
  /** Head -> label -> what that head says alone, of a network with several. */
  heads: Record<string, Record<string, number>>;
  /** All that the network saw. */
  crop: Crop;
  /** The crop's corners in the photo, in the order of the crop: top left, top right, bottom right, bottom left. */
  corners: Point[];
  /** The corners of what the spatial transformer looked at; null for a network without one. */
  attention_window: Point[] | null;
  /** Weights over positions in the window (the whole crop without one), which sum to 1; null without attention. */
  attention: Grid | null;
  /** Position in the window -> position in the crop, (2, 3), -1..1 from edge to edge; null without a window. */
  theta: Float32Array | null;
  usable: boolean;
  quality: Quality;
  /** In a video: number of the person followed, from 1, null for a weak face seen once; null in a photo. */
  track: number | null;
  /** In a video: seconds from its start; null in a photo. */
  time: number | null;
}

export type Outcome = "faces" | "unusable" | "no face" | "unreadable";

/** One picture or frame and its faces, the surest detection first. */
export interface Photo {
  /** Name of the file that was given, "" for anything else. */
  source: string;
  outcome: Outcome;
  width: number;
  height: number;
  faces: Face[];
  /** Why it cannot be read, "" for one that was; `predict` throws instead. */
  error: string;
  /** In a video: seconds from its start; null for a photo. */
  time: number | null;
}

/** Something to tell the person in front of the page, in words that say what to do; `cause` is what lies behind it. */
export class MienError extends Error {
  override readonly name = "MienError";
}

/** Whether a photo has a face that can be believed. */
export function outcomeOf(faces: readonly { usable: boolean }[]): Outcome {
  if (!faces.length) return "no face";
  return faces.some((face) => face.usable) ? "faces" : "unusable";
}

/** A photo as `Photo.to_dict` in Python and the web API have it: without pixels, rounded in the same way. */
export function toDict(photo: Photo): Record<string, unknown> {
  if (photo.error) return { photo: photo.source, outcome: photo.outcome, error: photo.error };
  const { source, outcome, width, height, time } = photo;
  return { photo: source, ...seconds(time), outcome, width, height, faces: photo.faces.map(faceDict) };
}

function faceDict(face: Face): Record<string, unknown> {
  const { label, uncertain, prediction_set, usable, quality: q } = face;
  const rounded = (of: Record<string, number>) => Object.fromEntries(Object.entries(of).map(([k, v]) => [k, round(v, 6)]));
  const points = (of: Point[] | null) => of && of.map((p) => p.map((v) => round(v, 2)));
  const angle = (of: number | null) => (of === null ? null : round(of, 1));
  return {
    label, confidence: round(face.confidence, 6), uncertain, prediction_set, probabilities: rounded(face.probabilities),
    heads: Object.fromEntries(Object.entries(face.heads).map(([name, said]) => [name, rounded(said)])),
    box: face.box.map((v) => round(v, 2)), score: round(face.score, 4), landmarks: points(face.landmarks),
    turn: round(face.turn, 1), corners: points(face.corners), attention_window: points(face.attention_window), usable,
    quality: {
      side: round(q.side, 1), sharpness: round(q.sharpness, 4), brightness: round(q.brightness, 1),
      contrast: round(q.contrast, 1), yaw: angle(q.yaw), pitch: angle(q.pitch), roll: angle(q.roll), problems: q.problems,
    },
    ...(face.track === null ? {} : { track: face.track }), ...seconds(face.time),
  };
}

const seconds = (time: number | null) => (time === null ? {} : { time: round(time, 3) });

/** Rounded as Python does: what lies in the middle, which is an odd multiple of 2 ** -(digits + 1), to the even digit. */
function round(value: number, digits: number): number {
  const middle = Math.abs(value * 2 ** (digits + 1)) % 2 === 1;
  return middle ? even(value * 10 ** digits) / 10 ** digits : Number(value.toFixed(digits));
}
