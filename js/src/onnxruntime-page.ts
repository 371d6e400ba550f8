/* Where onnxruntime-web comes from in the static page: it lies beside mien.js, with two WebAssembly files. The lean one has
   what the page's own models need, a third of the bytes; see js/lean.mjs. WebGPU's weighs 27 MB, and is left out. */

import type { Ort } from "./onnxruntime.js";
import { MienError } from "./types.js";

declare const LEAN_MODELS: readonly string[]; // put in when the page is built

/** SHA-256 of the models that the lean file serves. */
export const LEAN = LEAN_MODELS;

/** onnxruntime-web on WebAssembly, once for the lean file and once for the whole one. */
export async function onWasm(whole: boolean): Promise<Ort> {
  const address = whole ? "./ort.js?whole" : "./ort.js"; // another address is another module, with a memory of its own
  return (await import(address)) as Ort;
}

export async function onWebGpu(): Promise<Ort> {
  throw new MienError('the ready-made page comes without WebGPU, whose file weighs 27 MB: use device "wasm", or the package with a bundler');
}
