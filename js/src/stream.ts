/* Frames in, followed and smoothed faces out: `FaceStream` of `mien/video/stream.py` and the searcher of `search.py`, in the
   browser. Leaves out: where frames come from (watch.ts); pictures by themselves (predictor.ts). */

import type { Detector } from "./detector.js";
import { follower, type Follower, type Track } from "./following.js";
import { inRange, onlyOptions, shown } from "./options.js";
import { type Picture, pixelsOf } from "./pictures.js";
import type { Predictor } from "./predictor.js";
import { part } from "./resample.js";
import { FIRST } from "./search.js";
import { type Box, type Detection, type Face, MienError, outcomeOf, type Photo, type Pixels } from "./types.js";
import { iou } from "./views.js";

const [FULL, LESS] = [5, 320]; // of so many looks at the whole picture one is at full size, the others at so many pixels
const NEW = 0.3; // IoU with a known face from which on a face is no new one
const [WINDOW, WINDOW_SIZE] = [2, 128]; // side of a window in sides of the face, and its pixels for the detector

export interface StreamOptions {
  /** Time constant in seconds of the mean of each face's probabilities; 0 gives each frame's own. */
  smooth?: number;
  /** Seconds between looks at the whole picture, so the latest that a new face is noticed, a small one after five looks. */
  look?: number;
  /** Seconds without a face after which its track ends. */
  max_gap?: number;
  /** Longer side in pixels to which the browser brings a frame before anything else; boxes are in these pixels. */
  longest?: number;
  /** Called when a frame cannot be worked on, `onFrame` fails or the camera is unplugged; without, the stream ends and the
      error is thrown from `done`. */
  onError?: (error: unknown) => unknown;
}

/** One frame with what came of it. `raw`: the same faces as the network saw each in this frame alone. */
export interface TrackedFrame {
  photo: Photo;
  raw: Face[];
  pixels: Pixels;
}

const OPTIONS = ["smooth", "look", "max_gap", "longest", "onError"];

/** Follows the faces of frames that are pushed in the order of their times; one that goes back, as a film that is wound
    back does, starts anew, with numbers that go on. */
export class FaceStream {
  private readonly tracks: Follower;
  private readonly look: number;
  private readonly longest: number;
  private waiting: Promise<unknown> = Promise.resolve();
  private last = { time: -Infinity, width: 0, height: 0 }; // of the latest frame
  private looked = -Infinity; // time of the last look at the whole picture, and of that at full size
  private full = -Infinity;

  constructor(
    private readonly predictor: Predictor,
    options: StreamOptions = {},
  ) {
    onlyOptions("stream", options, OPTIONS);
    const { smooth, look = 0.2, max_gap, longest = 640 } = options;
    const { gap } = predictor.spec.following;
    if (smooth !== undefined) inRange("smooth", smooth, "0 seconds or more", 0);
    if (max_gap !== undefined) inRange("max_gap", max_gap, `${gap} seconds or more`, gap);
    inRange("look", look, "0 seconds or more", 0);
    inRange("longest", longest, "64 pixels or more", 64);
    const given = Object.entries({ smooth, max_gap }).filter(([, value]) => value !== undefined);
    this.tracks = follower(predictor.spec, Object.fromEntries(given));
    [this.look, this.longest] = [look, longest];
  }

  /** One frame at `time`, seconds. Its pixels are taken at once; frames are worked on one after the other. */
  async push(picture: Picture, time: number): Promise<TrackedFrame> {
    if (!Number.isFinite(time)) throw new MienError(`time must be a number of seconds, got ${shown(time)}`);
    const taken = pixelsOf(picture, this.longest);
    const frame = this.waiting.then(async () => this.frame(await taken, time));
    this.waiting = Promise.allSettled([frame, taken]);
    return frame;
  }

  private async frame(pixels: Pixels, time: number): Promise<TrackedFrame> {
    this.meet(pixels, time);
    const detections = await this.search(pixels, time);
    const seen = await this.predictor.classify(this.predictor.find(pixels, detections));
    const followed = this.tracks.follow(seen, time);
    const faces = followed.map(({ number, raw: _raw, smooth: _smooth, rawLabel: _label, ...face }): Face => ({ ...face, track: number, time }));
    const raw = seen.map((face, i): Face => ({ ...face, track: followed[i].number, time }));
    const photo = { source: "", outcome: outcomeOf(faces), width: pixels.width, height: pixels.height, faces, error: "", time };
    return { photo, raw, pixels };
  }

  /** A frame whose time went back starts anew; one of another size is looked at as a whole. */
  private meet({ width, height }: Pixels, time: number): void {
    const { last } = this;
    const back = time < last.time;
    if (back) this.tracks.known.length = 0;
    if (back || width !== last.width || height !== last.height) this.looked = this.full = -Infinity;
    this.last = { time, width, height };
  }

  /** The numbers of the faces that are here or may still come back. */
  get living(): number[] {
    return this.tracks.known.flatMap((track) => track.number ?? []);
  }

  /** The whole picture now and then, the surroundings of the faces that are known in between. */
  private async search(pixels: Pixels, time: number): Promise<Detection[]> {
    const since = (last: number, step: number) => !(last <= time && time < last + step - 1e-6);
    const [due, full] = [since(this.looked, this.look), since(this.full, FULL * this.look)];
    const less = this.less();
    if (!(full || (due && !less)) && this.windowsPay(this.tracks.known.length + (due ? 3 : 0), pixels)) {
      const followed = await this.around(pixels, time);
      if (followed) return due ? this.andNew(pixels, time, followed, less!) : followed;
    }
    this.looked = this.full = time;
    const found = await this.predictor.detectInFrame(pixels);
    if (this.look === 0 || !this.windowsPay(found.length, pixels)) return found;
    const near: Detection[] = [];
    for (const d of found) near.push((await this.near(pixels, d.box)) ?? d); // a box depends on the size at which it is seen
    return near;
  }

  /** The detector for a look at fewer pixels; null where its own are few. */
  private less(): Detector | null {
    const { detector } = this.predictor;
    return detector.atSize && (detector.size ?? FIRST) > LESS ? detector.atSize(LESS) : null;
  }

  /** The faces that are followed, and who is new and large enough to be found in fewer pixels. */
  private async andNew(pixels: Pixels, time: number, followed: Detection[], less: Detector): Promise<Detection[]> {
    this.looked = time;
    const out = [...followed];
    for (const d of await less.detect(pixels)) {
      const found = (await this.near(pixels, d.box)) ?? d;
      if (out.every((other) => iou(found.box, other.box) < NEW)) out.push(found);
    }
    return out.sort((a, b) => b.score - a.score);
  }

  private windowsPay(faces: number, { width, height }: Pixels): boolean {
    const { size, atSize } = this.predictor.detector;
    const whole = ((size ?? FIRST) ** 2 * Math.min(width, height)) / Math.max(width, height);
    return Boolean(atSize) && 1.5 * faces * WINDOW_SIZE ** 2 < whole;
  }

  /** The faces that are followed; null where one that was there in the last frame is not found. */
  private async around(pixels: Pixels, time: number): Promise<Detection[] | null> {
    const out: Detection[] = [];
    for (const track of this.tracks.known as Track[]) {
      const found = await this.near(pixels, this.tracks.expected(track, time));
      if (!found && !track.misses) return null;
      if (found && out.every((other) => iou(found.box, other.box) < 0.5)) out.push(found);
    }
    return out.sort((a, b) => b.score - a.score);
  }

  /** The face at `place`, looked for in a window around it. */
  private async near(pixels: Pixels, place: Box): Promise<Detection | null> {
    const half = (WINDOW / 2) * Math.max(place[2] - place[0], place[3] - place[1]);
    const [x, y] = [(place[0] + place[2]) / 2, (place[1] + place[3]) / 2];
    const [left, top] = [Math.max(0, Math.trunc(x - half)), Math.max(0, Math.trunc(y - half))];
    const [right, bottom] = [Math.min(pixels.width, Math.trunc(x + half) + 1), Math.min(pixels.height, Math.trunc(y + half) + 1)];
    if (right - left < 16 || bottom - top < 16) return null; // it has left the picture
    const inside = await this.predictor.detector.atSize!(WINDOW_SIZE).detect(part(pixels, left, top, right, bottom));
    const moved = inside.map((d): Detection => ({
      ...d,
      box: [d.box[0] + left, d.box[1] + top, d.box[2] + left, d.box[3] + top],
      landmarks: d.landmarks && d.landmarks.map(([px, py]) => [px + left, py + top]),
    }));
    const likeness = moved.map((d) => iou(d.box, place));
    const best = likeness.indexOf(Math.max(...likeness, 0));
    return best >= 0 && likeness[best] >= 0.3 ? moved[best] : null;
  }
}
