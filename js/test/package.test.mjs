/* What the package says where something is wrong, and that it gives what its types promise; needs no models. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import * as mien from "../lib/mien.js";

const { MienError, Predictor, laidBack, toDict, windowOf } = mien;
const nothing = async () => assert.fail("no file was to be read");
const refused = (options, words) => assert.rejects(Predictor.create({ files: nothing, ...options }), (error) => error instanceof MienError && words.test(error.message));

test("wrong options are named with their value and the rule", async () => {
  await refused({ detector: "yunet" }, /detector must be "centerface" or "none", got "yunet"/);
  await refused({ size: 10 }, /size must be null or 64 to 8192 pixels, got 10/);
  await refused({ device: "gpu", files: async () => new TextEncoder().encode("{}") }, /device must be "auto", "webgpu" or "wasm", got "gpu"/);
  await refused({ device: "webgpu", files: async () => new TextEncoder().encode("{}") }, /no WebGPU adapter: use device "auto" or "wasm"/);
});

test("a browser without vectors is told which ones have them", async () => {
  const validate = WebAssembly.validate;
  WebAssembly.validate = () => false;
  try {
    await refused({ files: async () => new TextEncoder().encode("{}") }, /neither WebGPU nor WebAssembly with SIMD: use Chrome or Edge 91/);
  } finally {
    WebAssembly.validate = validate;
  }
});

test("a model that is not there is named with its address and the remedy", async () => {
  const fetch = globalThis.fetch;
  globalThis.fetch = async () => new Response("", { status: 404 });
  try {
    const asked = Predictor.create({ models: "https://faces.example.org/nets", detector: "none" });
    await assert.rejects(asked, /https:\/\/faces\.example\.org\/nets\/mien-small\.json: status 404; copy the folder models\//);
  } finally {
    globalThis.fetch = fetch;
  }
});

test("the window of theta and a map through it lie where theta says", () => {
  assert.deepEqual(windowOf([0.5, 0, 0, 0, 0.5, 0], 48), [[12, 12], [36, 12], [36, 36], [12, 36]]);
  const even = { width: 2, height: 2, data: Float32Array.of(1, 1, 1, 1) };
  const { data } = laidBack(even, [0.5, 0, 0, 0, 0.5, 0], 4);
  assert.deepEqual([...data], [0, 0, 0, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 0, 0, 0]);
});

test("a photo that cannot be read is told in short", () => {
  const photo = { source: "a.jpg", outcome: "unreadable", error: "cut short", width: 0, height: 0, faces: [] };
  assert.deepEqual(toDict(photo), { photo: "a.jpg", outcome: "unreadable", error: "cut short" });
});

test("every value that the types list is exported", () => {
  const types = readFileSync(new URL("../lib/index.d.ts", import.meta.url), "utf8");
  const names = [...types.matchAll(/export \{([^}]*)\}/g)].flatMap(([, list]) => list.split(",")).map((name) => name.trim()).filter((name) => name && !name.startsWith("type "));
  assert.ok(names.includes("Predictor"));
  assert.deepEqual(names.filter((name) => !(name in mien)), []);
});
