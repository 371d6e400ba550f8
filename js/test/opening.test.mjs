/* Opening networks: options, files that are not what they should be, WebGPU that hangs, a WebAssembly that lacks something.
   A planted onnxruntime answers; needs no models. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { afterEach, beforeEach, mock, test } from "node:test";
import { sources } from "./sources.mjs";

const LEAN_MODEL = Buffer.from("lean");
const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");
const planted = { whole: null, lean: null, gpu: null }; // an onnxruntime each
const asked = [];
globalThis.onnxruntime = {
  LEAN: [sha256(LEAN_MODEL)],
  onWasm: async (whole) => (asked.push(whole ? "whole" : "lean"), planted[whole ? "whole" : "lean"]),
  onWebGpu: async () => (asked.push("gpu"), planted.gpu),
};
const { Predictor, MienError, fetched, folderOf } = await sources("predictor", "types", "files");

const ABOUT = {
  name: "tiny", labels: ["a", "b"], size: 8, channels: 1, mean: 0.5, std: 0.5, crop: { scale: 1, dx: 0, dy: 0 }, temperature: 1, threshold: null, heads: [],
  following: { gap: 0.7, max_gap: 10, smooth: 0.3, set_share: 0.9 }, contrast: { flat: 1, usual: 50 },
  quality: { limits: { side: 1, sharpness: 0, contrast: 0, yaw: 90, pitch: 90, roll: 90 }, head: [] },
};
const PIXELS = { width: 8, height: 8, data: Uint8Array.from({ length: 256 }, (_, i) => (i * 37) % 256) };
const released = [];

/** An onnxruntime that answers `logits`, or does what `run` or `create` do. */
function ort({ run = async () => ({ logits: { data: Float32Array.of(0, 2), dims: [1, 2] } }), create, outputs = ["logits"] } = {}) {
  const session = { outputNames: outputs, run, release: async () => void released.push(session) };
  return { env: { wasm: {} }, Tensor: class { constructor(_, data, dims) { Object.assign(this, { data, dims }); } }, InferenceSession: { create: create ?? (async () => session) } };
}

/** The files of a model that says `about` of itself. */
function files(bytes = LEAN_MODEL, about = {}) {
  const told = { ...ABOUT, file: "tiny.onnx", bytes: bytes.length, sha256: sha256(bytes), ...about };
  return async (name) => new Uint8Array(name.endsWith(".json") ? Buffer.from(JSON.stringify(told)) : bytes);
}

const create = (options) => Predictor.create({ model: "tiny", detector: "none", files: files(), ...options });
const refused = (options, words) => assert.rejects(create(options), (error) => error instanceof MienError && (assert.match(error.message, words), true));

beforeEach(() => {
  Object.assign(planted, { whole: ort(), lean: ort(), gpu: null });
  asked.length = released.length = 0;
});

afterEach(() => {
  mock.reset();
  mock.timers.reset();
  delete globalThis.navigator;
});

test("wrong options are named with their value and the rule", async () => {
  await refused({ detector: "yunet" }, /^detector must be "centerface" or "none", got "yunet"$/);
  await refused({ size: 10 }, /^size must be null or 64 to 8192 pixels, got 10$/);
  await refused({ size: NaN }, /got NaN$/);
  await refused({ device: "gpu" }, /^device must be "auto", "webgpu" or "wasm", got "gpu"$/);
  await refused({ threads: 0 }, /^threads must be a whole number from 1 to 64, got 0$/);
  await refused({ threads: 1.5 }, /got 1.5$/);
  await refused({ model: "" }, /^model must be the name of one, such as "mien-small", got ""$/);
  await refused({ labels: "fer2014" }, /^labels must name a head of tiny, which has one answer only; got "fer2014"$/);
  await refused({ modle: "mien-nano" }, /^Predictor.create has no option "modle"; it has model, labels/);
  await assert.rejects(Predictor.create("mien-nano"), /takes an object of options, got "mien-nano"/);
  assert.deepEqual(released, []);
});

test("files that are not what they should be are named with the remedy", async (t) => {
  const answers = (response) => mock.method(globalThis, "fetch", response);
  const from = (models) => Predictor.create({ models, detector: "none" });
  answers(async () => new Response("", { status: 404 }));
  await assert.rejects(from("https://faces.example.org/nets"), /https:\/\/faces\.example\.org\/nets\/mien-small\.json: status 404; copy the folder models\//);
  answers(async () => new Response("<!doctype html><title>Not found</title>"));
  await assert.rejects(from("https://faces.example.org/nets/"), (error) => error instanceof MienError && /mien-small\.json .*begins with "<!doctype html>/.test(error.message));
  answers(async () => new Response(new ReadableStream({ start: (body) => body.error(new Error("connection reset")) })));
  await assert.rejects(fetched("https://faces.example.org/nets")("tiny.onnx"), /nets\/tiny\.onnx cannot be loaded \(connection reset\); copy/);
  assert.throws(() => folderOf("wasm", "files"), /^MienError: wasm must be the address of a folder, such as "\/mien\/", got "files"$/);
  await refused({ files: files(LEAN_MODEL, { bytes: 9 }) }, /^tiny\.onnx has 4 bytes, not 9: it is cut short or of another version than tiny\.json/);
  await refused({ files: files(LEAN_MODEL, { sha256: sha256("other") }) }, /^tiny\.onnx has other bytes than it should/);
});

test("what one network's failure leaves open is closed, and a closed predictor says so", async () => {
  planted.lean = planted.whole = ort({ outputs: ["scores"] });
  await refused({}, /^the model tiny has no output logits; export it again$/);
  assert.equal(released.length, 1);
  const order = [];
  planted.lean = ort({ run: async () => (await new Promise(setImmediate), order.push("run"), { logits: { data: Float32Array.of(0, 2), dims: [1, 2] } }) });
  const predictor = await create();
  const asked = predictor.predict(PIXELS);
  await new Promise(setImmediate); // it runs
  await Promise.all([predictor.close().then(() => order.push("closed")), predictor.close()]);
  assert.equal((await asked).faces[0].label, "b");
  assert.deepEqual([order, released.length], [["run", "closed"], 2]);
  await assert.rejects(predictor.predict(PIXELS), /^MienError: this predictor was closed/);
});

test("a browser without vectors is told which ones have them", async () => {
  mock.method(WebAssembly, "validate", () => false);
  await refused({}, /neither WebGPU nor WebAssembly with SIMD: use Chrome or Edge 91/);
});

test("the lean WebAssembly serves its own models, the whole one all others, and whatever the lean one lacks", async () => {
  await create();
  assert.deepEqual(asked, ["lean"]);
  await create({ files: files(Buffer.from("somebody's own")) });
  assert.deepEqual(asked.splice(0), ["lean", "whole"]);
  const warned = mock.method(console, "warn", () => {});
  const trap = async () => { throw new WebAssembly.RuntimeError("unreachable"); };
  planted.lean = ort({ run: trap });
  const predictor = await create({ wasm: "https://faces.example.org/mien" });
  const { faces } = await predictor.predict(PIXELS);
  assert.deepEqual([faces[0].label, asked.splice(0)], ["b", ["lean", "whole"]]);
  assert.equal((await predictor.predict(PIXELS)).faces.length, 1);
  assert.deepEqual(asked, []); // it is loaded once
  assert.deepEqual([planted.lean, planted.whole].map(({ env }) => env.wasm.wasmPaths.wasm.split("/").at(-1)), ["ort-lean.wasm", "ort-wasm-simd-threaded.wasm"]);
  assert.match(warned.mock.calls[0].arguments[0], /tiny\.onnx wants more than ort-lean\.wasm has \(unreachable\)/);
  planted.lean = ort({ create: trap });
  assert.equal((await (await create()).predict(PIXELS)).faces.length, 1);
  planted.lean = planted.whole = ort({ create: async () => { throw new Error("no available backend found"); } });
  await refused({}, /^onnxruntime-web does not open tiny\.onnx \(no available backend found\); lay onnxruntime-web's \.wasm files beside mien\.js/);
});

test("WebGPU that works is taken", async () => {
  planted.gpu = ort({ run: async (given) => (given.x ? { y: { data: Float32Array.of(3), dims: [1] } } : { logits: { data: Float32Array.of(0, 2), dims: [1, 2] } }) });
  Object.defineProperty(globalThis, "navigator", { value: { gpu: { requestAdapter: async () => ({}) } }, configurable: true });
  const { create: open } = planted.gpu.InferenceSession;
  let opening = 0;
  planted.gpu.InferenceSession.create = async () => {
    assert.equal(++opening, 1, "onnxruntime-web opens one network at a time on WebGPU");
    await new Promise(setImmediate);
    opening--;
    return open();
  };
  const [predictor, another] = await Promise.all([create({ device: "auto" }), create({ device: "webgpu" })]);
  assert.deepEqual([predictor.device, another.device, asked], ["webgpu", "webgpu", ["gpu", "gpu"]]);
  assert.equal((await predictor.predict(PIXELS)).faces[0].label, "b");
});

const never = () => new Promise(() => {});

/** Let everything that is under way go on, while the clock stands still or goes ahead by so many milliseconds. */
async function ahead(ms) {
  for (let i = 0; i < 50; i++) await new Promise(setImmediate);
  mock.timers.tick(ms);
}

for (const [what, requestAdapter, gpu, says] of [
  ["there is none", async () => null, null, /has no adapter/],
  ["the adapter fails", async () => { throw new Error("lost"); }, null, /lost/],
  ["the adapter hangs", never, null, /no answer to the question for an adapter in 5 s/],
  ["the device hangs", async () => ({}), ort({ create: never }), /does not come to an end in 60 s/],
  ["the first run hangs", async () => ({}), ort({ run: never, outputs: ["y"] }), /does not come to an end in 60 s/],
  ["it cannot add", async () => ({}), ort({ run: async () => ({ y: { data: Float32Array.of(0), dims: [1] } }), outputs: ["y"] }), /1\.5 \+ 1\.5 gave 0/],
]) {
  test(`WebGPU where ${what}: "auto" goes on with WebAssembly in bounded time, "webgpu" says why`, async () => {
    planted.gpu = gpu;
    mock.timers.enable({ apis: ["setTimeout"] });
    Object.defineProperty(globalThis, "navigator", { value: { gpu: { requestAdapter } }, configurable: true });
    const auto = create({ device: "auto" });
    await ahead(60_000);
    assert.equal((await auto).device, "wasm");
    const only = refused({ device: "webgpu" }, new RegExp(`^WebGPU does not start here: .*${says.source}.*; use device "auto" or "wasm"$`));
    await ahead(60_000);
    await only;
  });
}
