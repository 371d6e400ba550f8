/* A network in colour: its crops, as Python cuts them, and what it is given. Of the library's own modules, not its bundle. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { sources } from "./sources.mjs";

const { Classifier, cropFace, greyOf, occlusion } = await sources("crop", "classifier", "explain");

const spec = { name: "tinted", labels: ["a", "b"], size: 8, channels: 3, mean: [0.1, 0.2, 0.3], std: [0.5, 0.4, 0.2], temperature: 1, heads: [], crop: { scale: 1.1, dx: 0, dy: 0 } };
const image = (colour) => ({ width: 60, height: 50, data: Uint8ClampedArray.from({ length: 60 * 50 * 4 }, (_, i) => colour(i >> 2)[i & 3]) });
const box = [5, 4, 45, 46];

test("each channel is cut as grey would be, red first", () => {
  const noise = (i) => (i * 7919) % 251;
  const crop = cropFace(image((i) => [noise(i), noise(i + 1), noise(i + 2), 255]), box, spec, 12);
  assert.equal(crop.data.length, 3 * 64);
  for (const k of [0, 1, 2]) {
    const alone = cropFace(image((i) => [...Array(3).fill(noise(i + k)), 255]), box, { ...spec, channels: 1 }, 12);
    assert.deepEqual([...crop.data.slice(64 * k, 64 * (k + 1))], [...alone.data]);
  }
});

test("the luma of a crop is that of OpenCV, and a grey crop is its own", () => {
  const crop = { size: 1, data: Uint8Array.of(200, 100, 50) };
  assert.deepEqual([...greyOf(crop).data], [124]);
  const grey = { size: 1, data: Uint8Array.of(7) };
  assert.equal(greyOf(grey), grey);
});

test("the network is given each channel by its own mean and deviation", async () => {
  let fed;
  const session = { outputs: ["logits"], run: async (_, x) => ((fed = x), { logits: { data: Float32Array.of(1, 3), dims: [1, 2] } }) };
  const crop = { size: 8, data: Uint8Array.from({ length: 192 }, (_, i) => i) };
  const [answer] = await new Classifier(session, spec).classify([crop]);
  assert.deepEqual(fed.dims, [1, 3, 8, 8]);
  for (const i of [0, 64, 191]) {
    const k = i >> 6;
    assert.ok(Math.abs(fed.data[i] - (i / 255 - spec.mean[k]) / spec.std[k]) < 1e-5);
  }
  assert.ok(Math.abs(answer.probabilities[1] - 1 / (1 + Math.exp(-2))) < 1e-6);
});

test("covering covers all channels of a pixel", async () => {
  const crop = { size: 8, data: new Uint8Array(192).fill(200).fill(0, 0, 64) };
  const seen = [];
  await occlusion(async (crops) => (seen.push(...crops), crops.map((c) => [c.data[64] / 255, 0])), crop, 4, 4);
  assert.deepEqual([0, 64, 128].map((at) => seen[1].data[at]), [133, 133, 133]);
});
