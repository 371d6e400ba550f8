/* Streams: what ends a video, what is left behind, frames that overlap, change their size or go back in time; and pictures that
   are none. Needs no models and no browser. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { sources } from "./sources.mjs";

const { FaceStream, MienError, pixelsOf, watch } = await sources("stream", "watch", "types", "pictures");
const turn = () => new Promise(setImmediate);

/** A camera in a video: `show()` gives a frame, `unplug()` takes it away, `callbacks` are those that wait for a frame. */
function camera() {
  const track = Object.assign(new EventTarget(), { readyState: "live" });
  const callbacks = new Map();
  const video = {
    play() {}, paused: false, ended: false, videoWidth: 64, videoHeight: 48, currentTime: 0, srcObject: { getVideoTracks: () => [track] },
    requestVideoFrameCallback: (call) => (callbacks.set(++asked, call), asked),
    cancelVideoFrameCallback: (number) => callbacks.delete(number),
  };
  let asked = 0;
  const show = async (seconds = 0.1) => {
    video.currentTime += seconds;
    for (const [number, call] of [...callbacks]) callbacks.delete(number), call();
    for (let i = 0; i < 5; i++) await turn();
  };
  const unplug = () => ((track.readyState = "ended"), track.dispatchEvent(new Event("ended")));
  return { video, callbacks, show, unplug };
}

const echo = { push: async (_, time) => ({ time }) };

test("each frame is pushed once, and a stop leaves nothing behind", async () => {
  const { video, callbacks, show } = camera();
  const frames = [];
  const going = watch(echo, video, (frame) => frames.push(frame));
  await show();
  await show();
  assert.equal(frames.length, 2);
  await show(0); // the same frame once more
  await new Promise((done) => setTimeout(done, 300)); // none at all
  assert.deepEqual([frames.length, callbacks.size], [2, 1]);
  going.stop();
  await going.done; // at once, not at the next frame
  assert.equal(callbacks.size, 0);
});

test("what comes after a stop during a look is dropped, an error as well", async () => {
  for (const answer of [() => ({}), () => { throw new Error("too late"); }]) {
    const { video, show } = camera();
    let finish;
    const looking = new Promise((done) => (finish = done));
    const going = watch({ push: () => looking.then(answer) }, video, () => assert.fail("it was stopped"), { onError: () => assert.fail("nobody asks") });
    await show();
    going.stop();
    finish();
    await going.done;
  }
});

test("an unplugged camera is an error, a camera that the page stops and a film that is over are ends", async () => {
  const unplugged = /^MienError: the camera was unplugged or taken away: connect it/;
  const first = camera();
  const going = watch(echo, first.video, () => {});
  first.unplug();
  await assert.rejects(going.done, unplugged);
  const second = camera();
  const errors = [];
  const told = watch(echo, second.video, () => {}, { onError: (error) => errors.push(String(error)) });
  second.unplug();
  await told.done;
  assert.equal(errors.length, 1);
  assert.match(errors[0], unplugged);
  const third = camera();
  third.video.ended = true; // as after track.stop()
  await watch(echo, third.video, () => {}).done;
});

test("an error ends a stream, or is told and the next frame comes", async () => {
  const push = async (_, time) => { if (time >= 0) throw new Error("no memory"); };
  const { video, show } = camera();
  const going = watch({ push }, video, () => {});
  const rejected = assert.rejects(going.done, /no memory/);
  await show();
  await rejected;
  const [other, errors] = [camera(), []];
  const told = watch({ push }, other.video, () => {}, { onError: (error) => errors.push(error.message) });
  await other.show();
  await other.show();
  told.stop();
  await told.done;
  assert.deepEqual(errors, ["no memory", "no memory"]);
  assert.throws(() => watch(echo, null, () => {}), /^MienError: video must be a <video>, got null$/);
  assert.throws(() => watch(echo, video), /^MienError: onFrame must be a function, got undefined$/);
});

const RULES = { gap: 0.7, max_gap: 10, sure: 0.7, hits: 2, overlap: 0.2, reach: 0.8, growth: 1.6, least_step: 0.001, speed_time: 0.15, coast: 0.5, smooth: 0.3, set_share: 0.9 };

/** A predictor that finds one face wherever it looks; `looks` are the widths of the pictures that it looked at as a whole. */
function finder() {
  const looks = [];
  const face = { box: [10, 10, 30, 30], score: 0.9, landmarks: null, turn: 0 };
  const detector = { size: 640, atSize: () => detector, detect: async () => [{ ...face, box: [...face.box] }] };
  const predictor = {
    spec: { labels: ["a", "b"], threshold: null, following: RULES }, detector, looks, busy: 0, most: 0,
    async detectInFrame({ width }) {
      looks.push(width);
      this.most = Math.max(this.most, ++this.busy);
      await turn();
      this.busy--;
      return [face];
    },
    find: (_, detections) => detections,
    classify: async (detections) => detections.map((d) => ({ ...d, probabilities: { a: 1, b: 0 }, label: "a", usable: true, prediction_set: ["a"] })),
  };
  return predictor;
}

const picture = (width, height = 40) => ({ width, height, data: new Uint8Array(4 * width * height) });
const tracks = async (frame) => (await frame).photo.faces.map((face) => face.track);

test("a frame of another size is looked at as a whole, and one that goes back in time starts anew with numbers that go on", async () => {
  const predictor = finder();
  const stream = new FaceStream(predictor, { look: 1000 });
  assert.deepEqual(await tracks(stream.push(picture(64), 1)), [1]);
  assert.deepEqual(await tracks(stream.push(picture(64), 1.1)), [1]);
  assert.deepEqual(predictor.looks, [64]);
  assert.deepEqual(await tracks(stream.push(picture(80), 1.2)), [1]);
  assert.deepEqual(predictor.looks, [64, 80]);
  assert.deepEqual(await tracks(stream.push(picture(80), 0)), [2]);
  assert.deepEqual(predictor.looks, [64, 80, 80]);
});

test("frames that are pushed at once are worked on one after the other, also after one that fails", async () => {
  const predictor = finder();
  const stream = new FaceStream(predictor, { look: 0 });
  const pushed = [stream.push(picture(64), 0), stream.push({ width: 2, height: 2, data: [] }, 0.1), stream.push(picture(64), 0.2)];
  const [first, second, third] = await Promise.allSettled(pushed);
  assert.match(second.reason.message, /pixels must be numbers 0\.\.255 .*, got Array$/);
  assert.deepEqual([first.value.photo.time, third.value.photo.time, predictor.most], [0, 0.2, 1]);
  assert.deepEqual(third.value.photo.faces.map((face) => face.track), [1]);
});

test("frames are brought to the longest side that is wanted, pixels as well", async () => {
  const { photo } = await new FaceStream(finder(), { longest: 100 }).push(picture(200, 50), 0);
  assert.deepEqual([photo.width, photo.height], [100, 25]);
});

test("wrong options of a stream are named with their value and the rule", async () => {
  const refused = (options, words) => assert.throws(() => new FaceStream(finder(), options), (error) => error instanceof MienError && (assert.match(error.message, words), true));
  refused({ smooth: -1 }, /^smooth must be 0 seconds or more, got -1$/);
  refused({ look: Infinity }, /^look must be 0 seconds or more, got Infinity$/);
  refused({ max_gap: 0.5 }, /^max_gap must be 0\.7 seconds or more, got 0\.5$/);
  refused({ longest: 0 }, /^longest must be 64 pixels or more, got 0$/);
  refused({ smoth: 1 }, /^stream has no option "smoth"; it has smooth, look, max_gap, longest, onError$/);
  await assert.rejects(new FaceStream(finder()).push(picture(4)), /^MienError: time must be a number of seconds, got undefined$/);
});

test("what is no picture is named with what there is", async () => {
  const refused = (given, words) => assert.rejects(pixelsOf(given), (error) => error instanceof MienError && (assert.match(error.message, words), true));
  await refused("photo.jpg", /^picture must be an <img>.*, got "photo\.jpg": fetch an address first, or show it in an <img>$/);
  await refused(null, /^picture must be .*, got null$/);
  await refused({}, /^picture must be .*, got Object$/);
  await refused({ width: 0, height: 0 }, /^picture must show something, but this Object is 0 x 0 pixels$/);
  await refused({ width: 2, height: 2, data: new Uint8Array(12) }, /^pixels must be RGBA, 16 values for 2 x 2, got 12$/);
  await refused({ width: -1, height: -1, data: new Uint8Array(4) }, /^pixels must have a width and a height of whole numbers from 1, got -1 x -1$/);
  await refused({ width: 1, height: 1, data: new Float32Array(4) }, /^pixels must be numbers 0\.\.255 in a Uint8Array or a Uint8ClampedArray, got Float32Array$/);
  await refused({ width: 8000, height: 8000, data: new Uint8Array(256e6) }, /^8000 x 8000 pixels are over the limit of 50,000,000; make the picture smaller$/);
});
