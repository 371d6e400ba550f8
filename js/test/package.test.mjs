/* That the package gives what its types promise; needs no models. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import * as mien from "../lib/mien.js";

const { laidBack, toDict, windowOf } = mien;

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

test("numbers of a face are rounded as in Python: what lies in the middle goes to the even digit", () => {
  const quality = { side: 48.25, sharpness: 0.15625, brightness: 0.15, contrast: 99.96, yaw: -2.25, pitch: null, roll: 2.75, problems: [] };
  const face = { label: "a", confidence: 1, probabilities: { a: 0.1234565 }, heads: {}, box: [0.125, 0.375, 1.005, 2], score: 0.5, landmarks: null, turn: 0, corners: [], attention_window: null, quality, track: null, time: null };
  const { faces: [said] } = toDict({ source: "", outcome: "faces", error: "", width: 1, height: 1, faces: [face], time: null });
  const { side, sharpness, brightness, contrast, yaw, pitch, roll } = said.quality; // round(48.25, 1) and so on in Python
  assert.deepEqual([side, sharpness, brightness, contrast, yaw, pitch, roll], [48.2, 0.1562, 0.1, 100, -2.2, null, 2.8]);
  assert.deepEqual([said.box, said.probabilities.a], [[0.12, 0.38, 1, 2], 0.123456]);
  assert.ok(!("track" in said) && !("time" in said));
});

test("every value that the types list is exported", () => {
  const types = readFileSync(new URL("../lib/index.d.ts", import.meta.url), "utf8");
  const names = [...types.matchAll(/export \{([^}]*)\}/g)].flatMap(([, list]) => list.split(",")).map((name) => name.trim()).filter((name) => name && !name.startsWith("type "));
  assert.ok(names.includes("Predictor"));
  assert.deepEqual(names.filter((name) => !(name in mien)), []);
});
