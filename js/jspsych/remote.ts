/* The networks in a worker, so that the page's own thread is free while they work: keys and animations come first.
   Leaves out: the worker's end (worker.ts), and what is made of the frames (recorder.ts). */

import { MienError, type Picture, type PredictorOptions, type Spec, type StreamOptions, type TrackedFrame, type Watch, watch } from "mien";

interface Waiting {
  done(answer: unknown): void;
  fail(error: Error): void;
}

const HERE = "or open with { worker: false }, which runs the networks on the page's own thread";

/** As much of a `Predictor` as a recorder asks for. */
export class RemotePredictor {
  private readonly waiting = new Map<number, Waiting>();
  private asked = 0;
  private stopped: Error | null = null;

  private constructor(
    private readonly worker: Worker,
    /** What the model says of itself. */
    public spec: Spec,
  ) {
    worker.onmessage = ({ data: { id, answer, error, known } }) => {
      const { done, fail } = this.waiting.get(id) ?? {};
      this.waiting.delete(id);
      if (error) fail?.(known ? new MienError(error) : new Error(error));
      else done?.(answer);
    };
    worker.onerror = ({ message }) =>
      this.end(new MienError(`the networks' worker ended${message ? ` (${message})` : ""}: jspsych-worker.js must lie beside jspsych.js; ${HERE}`));
  }

  /** Start the worker and open the networks in it. */
  static async open({ files, models, wasm, ...options }: PredictorOptions): Promise<RemotePredictor> {
    if (files) throw new MienError(`files is a function of this page, which a worker cannot call: give models, the address of a folder, ${HERE}`);
    const whole = (address?: string) => address && new URL(address, document.baseURI).href; // the worker's base is another
    const remote = new RemotePredictor(started(), {} as Spec);
    try {
      remote.spec = await remote.ask<Spec>("open", { ...options, models: whole(models), wasm: whole(wasm) });
    } catch (error) {
      remote.close();
      throw error;
    }
    return remote;
  }

  /** As `Predictor.stream`; `stop()` does not wait for the frame that is being worked on, whose answer is dropped. */
  stream(video: HTMLVideoElement, onFrame: (frame: TrackedFrame) => unknown, options: StreamOptions = {}): Watch {
    const { onError, ...rules } = options;
    const stream = ++this.asked;
    const follows = this.ask("follow", { stream, rules });
    follows.catch(() => {}); // told by the first frame
    const push = async (picture: Picture, time: number): Promise<TrackedFrame> => {
      await follows;
      const bitmap = await createImageBitmap(picture as ImageBitmapSource);
      return this.ask("push", { stream, bitmap, time }, [bitmap]);
    };
    const going = watch({ push }, video, onFrame, options);
    let end = () => {};
    const ended = new Promise<void>((release) => void (end = release));
    const stop = () => {
      going.stop();
      this.ask("end", { stream }).catch(() => {});
      end();
    };
    return { stop, done: Promise.race([going.done, ended]) };
  }

  /** The answer to one frame: the first takes longer than those after it. */
  async look(video: HTMLVideoElement): Promise<void> {
    const bitmap = await createImageBitmap(video);
    await this.ask("look", { bitmap }, [bitmap]);
  }

  close(): void {
    this.worker.terminate();
    this.end(new MienError("the networks were closed: await jsPsych.extensions.mien.open() again"));
  }

  /** Whoever waits, and whoever asks from now on, gets this error. */
  private end(error: Error): void {
    this.stopped = error;
    for (const { fail } of this.waiting.values()) fail(error);
    this.waiting.clear();
  }

  private ask<T>(kind: string, given: object, transfer: Transferable[] = []): Promise<T> {
    return new Promise((done, fail) => {
      if (this.stopped) return fail(this.stopped);
      const id = ++this.asked;
      this.waiting.set(id, { done: done as (answer: unknown) => void, fail });
      this.worker.postMessage({ id, kind, given }, transfer);
    });
  }
}

function started(): Worker {
  try {
    return new Worker(new URL("./jspsych-worker.js", import.meta.url), { type: "module" });
  } catch (error) {
    throw new MienError(`this page cannot start a worker from ${new URL(".", import.meta.url)}: ${(error as Error).message}; serve mien's files from the page's own host, ${HERE}`, { cause: error });
  }
}
