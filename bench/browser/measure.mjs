/* Weighs the page's parts, asks the built package about the golden pictures and times its networks, in node; prints JSON for
   agreement.py.

     MIEN_GOLDEN=build/golden node bench/browser/measure.mjs NAME=FILE.onnx ...     detectors to be timed */

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, gzipSync } from "node:zlib";
import * as ort from "../../js/node_modules/onnxruntime-web/dist/ort.wasm.bundle.min.mjs";
import { Predictor, toDict } from "../../js/lib/mien.js";
import { files, golden } from "../../js/test/golden.mjs";

const { model, pictures, picture, crop } = golden();
const create = (options) => Predictor.create({ device: "wasm", files, ...options });
const apart = (a, b) => Math.max(0, ...a.flat().map((v, i) => Math.abs(v - b.flat()[i])));
const values = (of) => Object.values(of);

function spread(list) {
  const sorted = list.toSorted((a, b) => a - b);
  const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
  return { n: sorted.length, median: at(0.5), p90: at(0.9), p95: at(0.95), max: at(1) };
}

/** Differences of the probabilities for the same crops. */
async function sameCrops(name) {
  const predictor = await create({ model: name, detector: "none" });
  const off = [];
  for (const wanted of pictures.filter((p) => p.crops.length)) {
    const answers = await predictor.classifier.classify(wanted.crops.map((at) => crop(at, 48)));
    answers.forEach((a, k) => off.push(apart(a.probabilities, name === model ? values(wanted.photo.faces[k].probabilities) : wanted.others[name][k])));
  }
  return spread(off);
}

/** Differences of the whole way, from pixels to faces. */
async function wholeWay() {
  const [box, grey, probability, landmark, angle] = [[], [], [], [], []];
  const opened = new Map();
  let [faces, labels] = [0, 0];
  for (const wanted of pictures) {
    const key = `${wanted.detector} ${wanted.size}`;
    if (!opened.has(key)) opened.set(key, await create({ model, detector: wanted.detector, size: wanted.size }));
    const photo = await opened.get(key).predict(picture(wanted));
    if (photo.faces.length !== wanted.photo.faces.length) continue;
    faces++;
    toDict(photo).faces.forEach((face, k) => {
      const theirs = wanted.photo.faces[k];
      box.push(apart(face.box, theirs.box));
      if (theirs.landmarks) landmark.push(apart(face.landmarks, theirs.landmarks));
      if (theirs.quality.yaw !== null) angle.push(apart([face.quality.yaw, face.quality.pitch], [theirs.quality.yaw, theirs.quality.pitch]));
      grey.push(apart([...photo.faces[k].crop.data], [...crop(wanted.crops[k], 48).data]));
      probability.push(apart(values(face.probabilities), values(theirs.probabilities)));
      labels += face.label === theirs.label;
    });
  }
  const found = { box, landmark, angle, grey, probability };
  return { pictures: pictures.length, same_number_of_faces: faces, same_label: labels, same_crop: grey.filter((off) => off === 0).length, ...Object.fromEntries(Object.entries(found).map(([k, v]) => [k, spread(v)])) };
}

/** The least time of a run in milliseconds, of many: other work on the machine can only add to it. */
async function times(named) {
  ort.env.wasm.numThreads = 1;
  const sessions = [];
  for (const [name, path] of named) {
    const extra = name === "small weights" ? { extra: { session: { disable_quant_qdq: "1" } } } : {};
    sessions.push([name, await ort.InferenceSession.create(readFileSync(path), { executionProviders: ["wasm"], ...extra })]);
  }
  const least = {};
  for (let round = 0; round < 12; round++) {
    for (const [name, session] of sessions) {
      for (const [height, width] of [[480, 640], [256, 320], [128, 128]]) {
        const image = new ort.Tensor("float32", new Float32Array(3 * height * width).map((_, i) => (i * 7919) % 255), [1, 3, height, width]);
        const start = performance.now();
        await session.run({ image });
        const took = performance.now() - start;
        const key = `${width}x${height}`;
        least[name] ??= {};
        least[name][key] = Math.min(least[name][key] ?? Infinity, took);
      }
    }
  }
  return least;
}

/** Bytes of the page's parts in js/dist, and compressed as well as it goes. */
function sizes() {
  const [site, out] = [new URL("../../js/dist/", import.meta.url).pathname, {}];
  for (const entry of readdirSync(site, { recursive: true, withFileTypes: true }).filter((e) => e.isFile())) {
    const path = join(entry.parentPath, entry.name);
    const name = path.slice(site.length);
    const key = name.startsWith("models/") ? name.replace(/\.[^.]*$/, "") : name === "ort.js" ? "ort-lean.wasm" : name.endsWith(".wasm") ? name : "page";
    const bytes = readFileSync(path);
    const part = (out[key] ??= { bytes: 0, gzip: 0, brotli: 0 });
    part.bytes += bytes.length;
    part.gzip += gzipSync(bytes, { level: 9 }).length;
    part.brotli += brotliCompressSync(bytes).length;
  }
  return out;
}

const out = { sizes: sizes(), same_crops: {} };
for (const name of [model, "mien-base", "mien-nano", "deep-emotion-2019"]) out.same_crops[name] = await sameCrops(name);
out.whole_way = await wholeWay();
out.detector_ms = await times(process.argv.slice(2).map((given) => given.split("=")));
console.log(JSON.stringify(out));
