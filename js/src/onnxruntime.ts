/* Where onnxruntime-web comes from: in the package, from npm. The static page has onnxruntime-page.ts in this file's place. */

import type { Env, InferenceSession, Tensor } from "onnxruntime-web";

/** As much of onnxruntime-web as is asked for. */
export interface Ort {
  env: Env;
  InferenceSession: { create(model: Uint8Array, options: InferenceSession.SessionOptions): Promise<InferenceSession> };
  Tensor: new (type: "float32", data: Float32Array, dims: readonly number[]) => Tensor;
}

/** SHA-256 of the models for which a smaller WebAssembly file is there: none. */
export const LEAN: readonly string[] = [];

/** onnxruntime-web on WebAssembly. */
export const onWasm = async (_whole: boolean) => (await import("onnxruntime-web/wasm")) as unknown as Ort;

/** onnxruntime-web on WebGPU. */
export const onWebGpu = async () => (await import("onnxruntime-web/webgpu")) as unknown as Ort;
