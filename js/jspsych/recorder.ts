/* One trial's samples: what the participant's face shows from the trial's load to its end, with trial times.
   Leaves out: the camera (camera.ts); when trials begin and end (index.ts). */

import type { Face, Predictor, StreamOptions, TrackedFrame, Watch } from "mien";
import { troubleWith } from "./camera.js";

/** One frame of the camera. */
export interface Sample {
  /** Milliseconds since the trial's load at which the frame was taken. */
  time: number;
  label: string | null;
  /** Expression -> probability, in the model's order; null where there is no face. */
  probabilities: Record<string, number> | null;
  /** Whether the face can be believed; `problems` names what makes it unusable. */
  usable: boolean;
  problems: string[];
  /** How many faces the frame shows; the sample is of the largest. */
  faces: number;
  /** Why there are no probabilities: "no face", "the camera is switched off", "failed: ..."; null where there are. */
  missing: string | null;
}

/** What a trial's data get; the summary is of the usable samples. */
export interface Recording {
  mien_samples: Sample[];
  mien_label: string | null;
  mien_mean: Record<string, number> | null;
  mien_usable: number;
  mien_missing: Record<string, number>;
  mien_skipped: number | null;
  mien_longest_work: number | null;
  mien_model: string | null;
  mien_error: string | null;
}

const round = (value: number, digits: number) => Number(value.toFixed(digits));
const area = ({ box: [left, top, right, bottom] }: Face) => (right - left) * (bottom - top);
const rounded = (of: Record<string, number>) => Object.fromEntries(Object.entries(of).map(([name, p]) => [name, round(p, 6)]));

export class Recorder {
  private readonly samples: Sample[] = [];
  private readonly loaded = performance.now(); // the stream's clock starts here, too
  private readonly shown: number | null;
  private readonly watch: Watch;
  private longest: number | null = null;

  constructor(
    private readonly predictor: Pick<Predictor, "stream" | "spec">,
    private readonly video: HTMLVideoElement,
    options: StreamOptions,
  ) {
    this.shown = shownBy(video);
    const onError = (error: unknown) => void this.samples.push(missed(performance.now() - this.loaded, `failed: ${(error as Error).message}`));
    this.watch = predictor.stream(video, (frame) => this.add(frame), { ...options, onError });
  }

  /** The end of the trial: resolves as soon as the frame that is being worked on is done; that one is left out. */
  async finish(): Promise<Recording> {
    const shown = shownBy(this.video);
    const trouble = troubleWith(this.video);
    this.watch.stop();
    await this.watch.done;
    const skipped = shown === null || this.shown === null ? null : Math.max(0, shown - this.shown - this.samples.length);
    return { ...recording(this.samples, trouble), mien_skipped: skipped, mien_longest_work: this.longest, mien_model: this.predictor.spec.name };
  }

  private add({ photo: { faces, time } }: TrackedFrame): void {
    const taken = (time as number) * 1000;
    this.longest = Math.max(this.longest ?? 0, round(performance.now() - this.loaded - taken, 1));
    const trouble = troubleWith(this.video);
    this.samples.push(trouble || !faces.length ? missed(taken, trouble ?? "no face") : sample(taken, faces));
  }
}

/** The data of a trial with these samples; `error` says why there are fewer than there could be. */
export function recording(samples: Sample[], error: string | null): Recording {
  const usable = samples.filter((s) => s.usable);
  const mien_missing: Record<string, number> = {};
  for (const { missing } of samples) if (missing) mien_missing[missing] = (mien_missing[missing] ?? 0) + 1;
  const mean = usable.length ? meanOf(usable.map((s) => s.probabilities!)) : null;
  const mien_label = mean && Object.keys(mean).reduce((best, name) => (mean[name] > mean[best] ? name : best));
  return {
    mien_samples: samples, mien_label, mien_mean: mean, mien_usable: usable.length, mien_missing,
    mien_skipped: null, mien_longest_work: null, mien_model: null, mien_error: error,
  };
}

function sample(taken: number, faces: Face[]): Sample {
  const { label, probabilities, usable, quality } = faces.reduce((a, b) => (area(b) > area(a) ? b : a));
  return { time: round(taken, 1), label, probabilities: rounded(probabilities), usable, problems: quality.problems, faces: faces.length, missing: null };
}

function missed(taken: number, missing: string): Sample {
  return { time: round(taken, 1), label: null, probabilities: null, usable: false, problems: [], faces: 0, missing };
}

function meanOf(all: Record<string, number>[]): Record<string, number> {
  const mean = (name: string) => all.reduce((sum, p) => sum + p[name], 0) / all.length;
  return rounded(Object.fromEntries(Object.keys(all[0]).map((name) => [name, mean(name)])));
}

/** How many frames the camera has delivered so far; null where the browser does not count. */
function shownBy(video: HTMLVideoElement): number | null {
  return video.getVideoPlaybackQuality?.().totalVideoFrames ?? null;
}
