/* A jsPsych 8 extension: records what the participant's face shows while a stimulus is on the screen. What it needs is made
   once, by `open` before `jsPsych.run` or by jsPsych's own `initialize`; each trial with the extension gets a recorder.
   Leaves out: samples and their summary (recorder.ts). jsPsych itself is no part of it, only its types. */

import type { JsPsych, JsPsychExtension, JsPsychExtensionInfo } from "jspsych";
import { Predictor, type PredictorOptions, type StreamOptions } from "mien";
import { closeCamera, openCamera } from "./camera.js";
import { RemotePredictor } from "./remote.js";
import { Recorder, recording, type Recording } from "./recorder.js";

export type { Recording, Sample } from "./recorder.js";

export interface OpenOptions extends PredictorOptions, Omit<StreamOptions, "onError"> {
  /** A predictor of your own, instead of one made from these options; it works where it is, so on the page's own thread. */
  predictor?: Predictor;
  /** Run the networks in a worker (default), so that keys and animations do not wait for them, or on the page's own thread. */
  worker?: boolean;
  /** What `getUserMedia` is asked for. Default: the camera in front of the screen, 640 x 480. */
  camera?: MediaTrackConstraints;
  /** Without a camera or a network a trial stops the experiment (default), or goes on with `mien_error` in its data. */
  required?: boolean;
}

interface Opened {
  predictor: Predictor | RemotePredictor;
  video: HTMLVideoElement;
  own: boolean;
  stream: StreamOptions;
}

const FRONT = { facingMode: "user", width: { ideal: 640 }, height: { ideal: 480 } };
const EARLY = "the trial began before the camera and the network were ready: await jsPsych.extensions.mien.open() before jsPsych.run()";
const [INT, FLOAT, STRING, OBJECT] = [2, 3, 1, 12] as const; // jsPsych's ParameterType, which only a script of jsPsych's has as values

export default class MienExtension implements JsPsychExtension {
  static readonly info = {
    name: "mien",
    version: "0.2.0",
    data: {
      mien_samples: { type: OBJECT, array: true },
      mien_label: { type: STRING },
      mien_mean: { type: OBJECT },
      mien_usable: { type: INT },
      mien_missing: { type: OBJECT },
      mien_skipped: { type: INT },
      mien_longest_work: { type: FLOAT },
      mien_model: { type: STRING },
      mien_error: { type: STRING },
    },
  } satisfies JsPsychExtensionInfo;

  private opening: Promise<void> | null = null;
  private opened: Opened | null = null;
  private failure: Error | null = null;
  private required = true;
  private recorder: Recorder | null = null;

  constructor(_jsPsych?: JsPsych) {}

  /** Ask for the camera and load the network, once; throws MienError where either cannot be had. Later calls wait for the
      first; after a failure they try again. */
  open(options: OpenOptions = {}): Promise<void> {
    this.opening ??= this.make(options).catch((error: Error) => {
      [this.opening, this.failure] = [null, error];
      throw error;
    });
    return this.opening;
  }

  /** Switch the camera off and let go of the network. */
  async close(): Promise<void> {
    await this.opening?.catch(() => {}); // a camera that is still being opened is closed as well
    await this.recorder?.finish();
    if (this.opened) closeCamera(this.opened.video);
    if (this.opened?.own) await this.opened.predictor.close();
    [this.recorder, this.opened, this.opening] = [null, null, null];
  }

  /** jsPsych calls it and does not wait (8.3), so an error is kept for the first trial that needs the camera. */
  async initialize(params: OpenOptions = {}): Promise<void> {
    if (!this.opening && !this.failure) await this.open(params).catch(() => {});
  }

  on_start(): void {
    if (this.failure && this.required) throw this.failure; // what jsPsych.run() rejects with
  }

  on_load(): void {
    if (this.opened) this.recorder = new Recorder(this.opened.predictor, this.opened.video, this.opened.stream);
  }

  async on_finish(): Promise<Recording> {
    const { recorder } = this;
    this.recorder = null;
    return recorder ? recorder.finish() : recording([], this.failure?.message ?? EARLY);
  }

  private async make(options: OpenOptions): Promise<void> {
    const { predictor, worker = true, camera = FRONT, required = true, smooth, look, max_gap, longest, ...network } = options;
    [this.required, this.failure] = [required, null];
    const video = await openCamera(camera);
    try {
      const used = predictor ?? (await ready(network, worker, video));
      this.opened = { predictor: used, video, own: !predictor, stream: { smooth, look, max_gap, longest } };
    } catch (error) {
      closeCamera(video);
      throw error;
    }
  }
}

/** The networks, opened, with their first look behind them: that takes longer, and is not for a trial. */
async function ready(network: PredictorOptions, worker: boolean, video: HTMLVideoElement): Promise<Predictor | RemotePredictor> {
  if (!worker) {
    const here = await Predictor.create(network);
    await here.predict(video);
    return here;
  }
  const there = await RemotePredictor.open(network);
  try {
    await there.look(video);
  } catch (error) {
    there.close();
    throw error;
  }
  return there;
}
