/* The jsPsych extension: with planted samples through the hooks that jsPsych calls; needs no models and no browser. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { afterEach, test } from "node:test";
import MienExtension from "../lib/jspsych.js";
import { MienError } from "../lib/mien.js";

const face = (happy, usable = true, side = 100) => ({
  label: happy > 0.5 ? "happy" : "sad", probabilities: { happy, sad: 1 - happy }, usable, box: [0, 0, side, side], quality: { problems: usable ? [] : ["blurred"] },
});

/** A predictor whose stream gives planted frames, [milliseconds, ...faces] or an error each, before the trial goes on. */
function planted(...frames) {
  const streams = [];
  const stream = (_video, onFrame, options) => {
    streams.push({ options, stopped: 0 });
    const here = streams.at(-1);
    for (const frame of frames) {
      if (frame instanceof Error) options.onError(frame);
      else onFrame({ photo: { time: frame[0] / 1000, faces: frame.slice(1) } });
    }
    return { stop: () => void (here.stopped += 1), done: Promise.resolve() };
  };
  return { streams, stream, spec: { name: "planted" } };
}

/** A camera for the page: `answer` gives its track or throws. */
function camera(answer = () => ({ readyState: "live", muted: false, stop() {} })) {
  let shown = 0;
  const media = { getUserMedia: async () => ((track) => ({ getTracks: () => [track], getVideoTracks: () => [track] }))(Object.assign(new EventTarget(), answer())) };
  const video = { play: async () => {}, srcObject: null, getVideoPlaybackQuality: () => ({ totalVideoFrames: (shown += 10) }) };
  globalThis.document = { createElement: () => video };
  Object.defineProperty(globalThis, "navigator", { value: { mediaDevices: media }, configurable: true });
}

afterEach(() => {
  delete globalThis.document;
  delete globalThis.navigator;
  delete globalThis.Worker;
});

async function trial(extension) {
  extension.on_start();
  extension.on_load();
  return extension.on_finish();
}

test("planted samples arrive with their times, and what is missing is counted by name", async () => {
  camera();
  const two = [face(0.2, true, 50), face(0.9)];
  const predictor = planted([0, face(0.7)], [100.04, ...two], [200], [300], new Error("out of memory"), [400, face(0.1, false)]);
  const extension = new MienExtension();
  await extension.open({ predictor, smooth: 0, look: 0.5 });
  const data = await trial(extension);
  const [first, several, none, , failed, blurred] = data.mien_samples;
  assert.deepEqual(first, { time: 0, label: "happy", probabilities: { happy: 0.7, sad: 0.3 }, usable: true, problems: [], faces: 1, missing: null });
  assert.deepEqual([several.time, several.probabilities.happy, several.faces], [100, 0.9, 2]); // the larger face
  assert.deepEqual([none.missing, none.label, none.probabilities], ["no face", null, null]);
  assert.deepEqual([failed.missing, failed.usable], ["failed: out of memory", false]);
  assert.deepEqual([blurred.missing, blurred.usable, blurred.problems], [null, false, ["blurred"]]);
  assert.deepEqual(data.mien_missing, { "no face": 2, "failed: out of memory": 1 });
  assert.deepEqual([data.mien_usable, data.mien_label, data.mien_mean], [2, "happy", { happy: 0.8, sad: 0.2 }]);
  assert.deepEqual([data.mien_skipped, data.mien_model, data.mien_error], [4, "planted", null]); // ten shown, six in samples
  const { options, stopped } = predictor.streams[0];
  assert.deepEqual([options.smooth, options.look, stopped], [0, 0.5, 1]);
  assert.deepEqual(Object.keys(data).sort(), Object.keys(MienExtension.info.data).sort());
  assert.equal(MienExtension.info.version, JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")).version);
});

test("each trial has samples of its own, and one without a face has no mean", async () => {
  camera();
  const predictor = planted([5]);
  const extension = new MienExtension();
  await extension.open({ predictor });
  await trial(extension);
  const data = await trial(extension);
  assert.deepEqual([data.mien_samples.length, data.mien_mean, data.mien_label, data.mien_missing], [1, null, null, { "no face": 1 }]);
  assert.equal(predictor.streams.length, 2);
});

test("a camera that is switched off or taken away is named, its last picture is no sample", async () => {
  for (const [state, words] of [[{ muted: true }, /switched off/], [{ readyState: "ended" }, /taken away/]]) {
    camera(() => ({ readyState: "live", muted: false, stop() {}, ...state }));
    const extension = new MienExtension();
    await extension.open({ predictor: planted([5, face(0.9)]) });
    const data = await trial(extension);
    assert.match(data.mien_samples[0].missing, words);
    assert.match(data.mien_error, words);
    assert.equal(data.mien_usable, 0);
  }
});

test("a refused camera is an error of open and of the first trial, or stands in the data", async () => {
  const refuse = () => { throw new DOMException("Permission denied", "NotAllowedError"); };
  const refused = (error) => error instanceof MienError && /^camera: it was refused: allow .*\(NotAllowedError\)$/.test(error.message);
  camera(refuse);
  const extension = new MienExtension();
  await assert.rejects(extension.open({ predictor: planted() }), refused);
  assert.throws(() => extension.on_start(), refused);
  const going = new MienExtension();
  await going.initialize({ predictor: planted(), required: false });
  const data = await trial(going);
  assert.match(data.mien_error, /^camera: it was refused/);
  assert.deepEqual(data.mien_samples, []);
  camera();
  await extension.open({ predictor: planted([1, face(0.9)]) }); // allowed at the second try
  assert.equal((await trial(extension)).mien_usable, 1);
});

test("no camera at all, no https, and a trial before open are named with the remedy", async () => {
  camera(() => { throw new DOMException("Requested device not found", "NotFoundError"); });
  await assert.rejects(new MienExtension().open(), /camera: there is none: connect one/);
  Object.defineProperty(globalThis, "navigator", { value: {}, configurable: true });
  await assert.rejects(new MienExtension().open(), /over https only/);
  assert.match((await trial(new MienExtension())).mien_error, /await jsPsych\.extensions\.mien\.open\(\) before jsPsych\.run\(\)/);
});

test("close switches the camera off, and leaves a predictor of the experiment's own alone", async () => {
  let stopped = 0;
  camera(() => ({ readyState: "live", muted: false, stop: () => void (stopped += 1) }));
  const extension = new MienExtension();
  await extension.open({ predictor: { ...planted(), close: () => assert.fail("not ours") } });
  await extension.close();
  assert.equal(stopped, 1);
});

/** A worker that answers as worker.ts does: `answers` by kind, each a value, an Error or a function; gives what it was told. */
function worker(answers) {
  const told = [];
  globalThis.Worker = class {
    constructor(address) {
      told.push({ kind: "started", address: String(address) });
    }
    postMessage({ id, kind, given }) {
      told.push({ kind, given });
      const answer = answers[kind] instanceof Error ? { error: answers[kind].message, known: true } : { answer: answers[kind] };
      if (answers[kind] !== "never") queueMicrotask(() => this.onmessage({ data: { id, ...answer } }));
    }
    terminate() {
      told.push({ kind: "ended" });
    }
  };
  globalThis.createImageBitmap = async () => ({ close() {} });
  globalThis.document.baseURI = "https://example.org/study/";
  return told;
}

test("the networks run in a worker, and the end of a trial does not wait for its frame", async () => {
  camera();
  const told = worker({ open: { name: "far" }, push: "never" });
  const extension = new MienExtension();
  await extension.open({ model: "mien-nano", models: "nets", smooth: 0 });
  assert.match(told[0].address, /\/jspsych-worker\.js$/);
  assert.deepEqual(told[1].given, { model: "mien-nano", models: "https://example.org/study/nets", wasm: undefined });
  Object.assign(document.createElement(), { videoWidth: 640, requestVideoFrameCallback: (call) => queueMicrotask(call) });
  extension.on_load();
  while (!told.some(({ kind }) => kind === "push")) await new Promise((resolve) => setTimeout(resolve, 1));
  const data = await extension.on_finish(); // the frame is never answered
  assert.deepEqual([data.mien_samples, data.mien_model], [[], "far"]);
  await extension.close();
  assert.deepEqual(told.map(({ kind }) => kind), ["started", "open", "look", "follow", "push", "end", "ended"]);
  assert.equal(told[3].given.rules.smooth, 0);
});

test("what goes wrong in the worker is an error of open, and the camera is switched off", async () => {
  let stopped = 0;
  camera(() => ({ readyState: "live", muted: false, stop: () => void (stopped += 1) }));
  const told = worker({ open: new Error("model mine.json: status 404") });
  await assert.rejects(new MienExtension().open({ model: "mine" }), (error) => error instanceof MienError && /mine\.json: status 404/.test(error.message));
  assert.deepEqual([stopped, told.at(-1).kind], [1, "ended"]);
  worker({ open: "never" });
  const { postMessage } = Worker.prototype;
  Worker.prototype.postMessage = function (message) {
    postMessage.call(this, message);
    queueMicrotask(() => this.onerror({ message: "" }));
  };
  await assert.rejects(new MienExtension().open(), /worker ended: jspsych-worker\.js must lie beside jspsych\.js; or open with \{ worker: false \}/);
  await assert.rejects(new MienExtension().open({ files: async () => {} }), /files is a function of this page, which a worker cannot call/);
});
