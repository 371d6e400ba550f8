/* onnxruntime-web's WebAssembly file without the functions that the page's own networks never call: a third of the bytes, to
   load, to compile and to keep in memory.

     node lean.mjs MODELS WHOLE.wasm LEAN.wasm

   In a copy of the file each function notes that it was called; the networks run there in many sizes; then the long functions
   that nobody called are replaced by a trap. A trap is an error, never another answer, and session.ts meets it by loading the whole
   file. Leaves out: which networks there are; and more threads than one, which take the whole file. */

import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const ORT = new URL("./node_modules/onnxruntime-web/dist/ort.wasm.bundle.min.mjs", import.meta.url).href;
const [IMPORTS, GLOBALS, EXPORTS, CODE] = [2, 6, 7, 10]; // sections, https://webassembly.github.io/spec/core/binary/modules.html
const [I32, MUTABLE, I32_CONST, GLOBAL_SET, END, GLOBAL] = [0x7f, 1, 0x41, 0x24, 0x0b, 3];
const TRAP = Uint8Array.of(0, 0x00, END); // no locals, unreachable

const SHORT = 256; // bytes: shorter functions stay, since which of them are called hangs on sizes and on chance

// faces at once; and sides of what the detector looks at: those of photos, frames, windows and tiles
const FACES = { asked: [1, 2, 3, 5, 16, 64], checked: [4, 33] };
const LOOKS = { asked: [[32, 32], [96, 128], [128, 128], [160, 96], [256, 320], [320, 224], [384, 480], [480, 640], [640, 480], [640, 1280]], checked: [[64, 480], [352, 480], [736, 544]] };

/** A whole number in LEB128, unsigned. */
function leb(n) {
  const out = [];
  for (; n > 127; n = Math.floor(n / 128)) out.push((n % 128) | 128);
  return [...out, n];
}

const joined = (parts) => Buffer.concat(parts.map((part) => Buffer.from(part)));

/** Reads bytes from `at` on. */
class Reader {
  constructor(bytes, at = 0) {
    Object.assign(this, { bytes, at });
  }
  byte = () => this.bytes[this.at++];
  take = (n) => this.bytes.subarray(this.at, (this.at += n));
  number() {
    for (let [sum, scale] = [0, 1]; ; scale *= 128) {
      const byte = this.byte();
      sum += (byte & 127) * scale;
      if (byte < 128) return sum;
    }
  }
}

/** The sections of a module, which can be written again. */
function sectionsOf(bytes) {
  const [reader, out] = [new Reader(bytes, 8), []];
  while (reader.at < bytes.length) out.push({ id: reader.byte(), body: reader.take(reader.number()) });
  return out;
}

const written = (sections) => joined([[0, 97, 115, 109, 1, 0, 0, 0], ...sections.flatMap(({ id, body }) => [[id], leb(body.length), body])]);

/** The module with each function's body, locals and all, as `change(body, i)` gives it; `more` changes the other sections. */
function rewritten(bytes, change, more = () => {}) {
  const sections = sectionsOf(bytes);
  const section = (id) => sections.find((s) => s.id === id);
  const reader = new Reader(section(CODE).body);
  const bodies = Array.from({ length: reader.number() }, () => reader.take(reader.number()));
  more(section, bodies.length);
  section(CODE).body = joined([leb(bodies.length), ...bodies.map(change).flatMap((body) => [leb(body.length), body])]);
  return written(sections);
}

/** How many globals a module imports. */
function importedGlobals(body) {
  const reader = new Reader(body);
  const limits = () => (reader.byte() & 1 ? [reader.number(), reader.number()] : [reader.number()]);
  const skip = [() => reader.number(), () => (reader.byte(), limits()), limits, () => reader.take(2)]; // function, table, memory, global
  return Array.from({ length: reader.number() }, () => {
    for (const _name of ["module", "field"]) reader.take(reader.number());
    const kind = reader.byte();
    skip[kind]();
    return kind;
  }).filter((kind) => kind === GLOBAL).length;
}

/** The module whose functions set the exported global `called N` to 1 when they are called. */
function noting(bytes) {
  let first = 0;
  const add = (section, count) => {
    const [globals, exports] = [new Reader(section(GLOBALS).body), new Reader(section(EXPORTS).body)];
    const [made, given] = [globals.number(), exports.number()];
    first = importedGlobals(section(IMPORTS).body) + made;
    const names = Array.from({ length: count }, (_, i) => Buffer.from(`called ${i}`));
    section(GLOBALS).body = joined([leb(made + count), globals.bytes.subarray(globals.at), ...names.map(() => [I32, MUTABLE, I32_CONST, 0, END])]);
    section(EXPORTS).body = joined([leb(given + count), exports.bytes.subarray(exports.at), ...names.flatMap((name, i) => [leb(name.length), name, [GLOBAL], leb(first + i)])]);
  };
  const change = (body, i) => {
    const reader = new Reader(body);
    for (let n = reader.number(); n > 0; n--) reader.number(), reader.byte(); // locals
    return joined([body.subarray(0, reader.at), [I32_CONST, 1, GLOBAL_SET], leb(first + i), body.subarray(reader.at)]);
  };
  return rewritten(bytes, change, add);
}

/** Numbers that look like pixels, the same each time. */
const pixels = (n) => Float32Array.from({ length: n }, (_, i) => ((i * 7919 + ((i * i) >> 5)) >>> 0) % 256);

/** What the networks answer in onnxruntime with these bytes; `which`: "asked" or "checked". */
async function answers(wasm, models, which) {
  const ort = await import(`${ORT}?${which}${wasm.length}`);
  Object.assign(ort.env, { logLevel: "error" });
  Object.assign(ort.env.wasm, { numThreads: 1, wasmBinary: wasm });
  const out = [];
  for (const about of models) {
    const options = { executionProviders: ["wasm"], logSeverityLevel: 3, ...(about.floats ? { extra: { session: { disable_quant_qdq: "1" } } } : {}) };
    const session = await ort.InferenceSession.create(about.bytes, options);
    const shapes = about.labels ? FACES[which].map((n) => [n, about.channels, about.size, about.size]) : LOOKS[which].map((sides) => [1, 3, ...sides]);
    for (const dims of shapes) {
      const data = pixels(dims.reduce((a, b) => a * b)).map((v) => (about.labels ? v / 128 - 1 : v));
      const found = await session.run({ [session.inputNames[0]]: new ort.Tensor("float32", data, dims) });
      out.push(...session.outputNames.map((name) => found[name].data));
    }
    await session.release();
  }
  return out;
}

/** Whatever is instantiated while `work` goes on: its exports. */
async function exportsOf(work) {
  const { instantiate } = WebAssembly;
  let exports;
  WebAssembly.instantiate = async (...given) => {
    const made = await instantiate(...given);
    ({ exports } = made.instance ?? made);
    return made;
  };
  await work().finally(() => (WebAssembly.instantiate = instantiate));
  return exports;
}

export async function lean(models, whole) {
  let said;
  const exports = await exportsOf(async () => (said = await answers(noting(whole), models, "asked")));
  const small = rewritten(whole, (body, i) => (exports[`called ${i}`].value || body.length < SHORT ? body : TRAP));
  assert.deepEqual(await answers(small, models, "asked"), said);
  assert.deepEqual(await answers(small, models, "checked"), await answers(whole, models, "checked")); // sizes that were not asked for
  return small;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [folder, from, to] = process.argv.slice(2);
  const about = readdirSync(folder).filter((name) => /^(?!index).*\.json$/.test(name)).map((name) => JSON.parse(readFileSync(join(folder, name), "utf8")));
  writeFileSync(to, await lean(about.map((one) => ({ ...one, bytes: readFileSync(join(folder, one.file)) })), readFileSync(from)));
}
