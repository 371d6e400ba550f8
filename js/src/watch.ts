/* A video's frames, one after the other, into whatever takes them. Leaves out: what is made of a frame (stream.ts). */

import { shown } from "./options.js";
import type { FaceStream, StreamOptions, TrackedFrame } from "./stream.js";
import { MienError } from "./types.js";

/** A stream that goes on until `stop()`; `done` settles when it has ended, with the error that ended it. */
export interface Watch {
  stop(): void;
  readonly done: Promise<void>;
}

/**
 * Push a video's frames into a stream one after the other, the newest first of all, until `stop()` or the video's end;
 * `done` settles then. A camera that is unplugged is an error; what the page itself stops is an end.
 */
export function watch(
  stream: Pick<FaceStream, "push">, video: HTMLVideoElement, onFrame: (frame: TrackedFrame) => unknown, { onError }: StreamOptions = {},
): Watch {
  if (typeof video?.play !== "function") throw new MienError(`video must be a <video>, got ${shown(video)}`);
  if (typeof onFrame !== "function") throw new MienError(`onFrame must be a function, got ${shown(onFrame)}`);
  const stopped = new AbortController();
  const { signal } = stopped;
  const camera = cameraOf(video);
  const start = performance.now();
  const clock = () => (video.srcObject ? (performance.now() - start) / 1000 : video.currentTime);
  const one = async () => {
    const frame = await stream.push(video, clock());
    if (!signal.aborted) await onFrame(frame);
  };
  const work = async () => {
    let shownAt = -1;
    while (!signal.aborted && !camera.gone && !video.ended) {
      await nextFrame(video, signal);
      if (signal.aborted || camera.gone || video.paused || !video.videoWidth || video.currentTime === shownAt) continue;
      shownAt = video.currentTime;
      try {
        await one();
      } catch (error) {
        if (signal.aborted) return;
        if (!onError) throw error;
        await onError(error);
      }
    }
    if (!camera.gone || signal.aborted) return;
    const error = new MienError("the camera was unplugged or taken away: connect it, then start the stream anew");
    if (!onError) throw error;
    await onError(error);
  };
  return { stop: () => stopped.abort(), done: work().finally(camera.forget) };
}

/** Whether a video's camera has gone, other than by the page's own doing. */
function cameraOf(video: HTMLVideoElement): { gone: boolean; forget(): void } {
  const source = video.srcObject as MediaStream | null;
  const tracks = source?.getVideoTracks?.() ?? [];
  const state = { gone: false, forget: () => tracks.forEach((track) => track.removeEventListener("ended", ended)) };
  const ended = () => void (state.gone = video.srcObject === source && tracks.every((track) => track.readyState === "ended"));
  tracks.forEach((track) => track.addEventListener("ended", ended)); // which a page's own stop() does not fire
  return state;
}

/** Resolves when the video has a new frame, after a quarter of a second, or when it is stopped; nothing is left behind. */
function nextFrame(video: HTMLVideoElement, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      if (asked !== undefined) video.cancelVideoFrameCallback(asked);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, 250);
    const asked = video.requestVideoFrameCallback?.(done);
    signal.addEventListener("abort", done);
  });
}
