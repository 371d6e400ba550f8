/* The worker's end of remote.ts: opens the networks and answers {id, kind, given} with {id, answer} or {id, error}.
   Leaves out: everything that the package mien does. */

import { type FaceStream, MienError, Predictor, type PredictorOptions, type StreamOptions, type TrackedFrame } from "mien";

interface Frame {
  stream: number;
  bitmap: ImageBitmap;
  time: number;
}

let predictor: Predictor;
const streams = new Map<number, FaceStream>();

const tasks = {
  async open(options: PredictorOptions) {
    predictor = await Predictor.create(options);
    return predictor.spec;
  },

  follow({ stream, rules }: { stream: number; rules: StreamOptions }) {
    streams.set(stream, predictor.follow(rules));
  },

  async push({ stream, bitmap, time }: Frame) {
    return streams.get(stream)?.push(bitmap, time).finally(() => bitmap.close());
  },

  async look({ bitmap }: Frame) {
    await predictor.predict(bitmap).finally(() => bitmap.close());
  },

  end({ stream }: Frame) {
    streams.delete(stream);
  },
};

addEventListener("message", async ({ data: { id, kind, given } }: MessageEvent) => {
  try {
    const answer = await (tasks[kind as keyof typeof tasks] as (given: unknown) => unknown)(given);
    const pixels = (answer as TrackedFrame | undefined)?.pixels;
    postMessage({ id, answer }, { transfer: pixels ? [pixels.data.buffer] : [] });
  } catch (error) {
    postMessage({ id, error: (error as Error).message, known: error instanceof MienError });
  }
});
