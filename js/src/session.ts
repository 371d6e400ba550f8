/* The one way to onnxruntime-web: on WebGPU where there is one, else on WebAssembly with SIMD; and a clear error where
   neither runs. Leaves out: what the networks compute. */

import type { InferenceSession, Env, Tensor as OrtTensor } from "onnxruntime-web";
import { MienError } from "./types.js";

/** What runs the networks: "auto" takes WebGPU where there is an adapter, else WebAssembly. */
export type Device = "auto" | "webgpu" | "wasm";

/** A network's numbers with their shape. */
export interface Values {
  readonly data: Float32Array;
  readonly dims: readonly number[];
}

interface Ort {
  env: Env;
  InferenceSession: { create(model: Uint8Array, options: InferenceSession.SessionOptions): Promise<InferenceSession> };
  Tensor: new (type: "float32", data: Float32Array, dims: readonly number[]) => OrtTensor;
}

/** One opened network. */
export class Session {
  private waiting: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly ort: Ort,
    private readonly session: InferenceSession,
  ) {}

  get outputs(): readonly string[] {
    return this.session.outputNames;
  }

  /** One run after the other, whoever asks: onnxruntime-web refuses two at a time. */
  run(input: string, values: Values, outputs: readonly string[]): Promise<Record<string, Values>> {
    const run = this.waiting.then(async () => {
      const tensor = new this.ort.Tensor("float32", values.data, values.dims);
      const found = await this.session.run({ [input]: tensor }, outputs as string[]);
      return Object.fromEntries(outputs.map((name) => [name, { data: found[name].data as Float32Array, dims: found[name].dims }]));
    });
    this.waiting = run.catch(() => {});
    return run;
  }

  async release(): Promise<void> {
    await this.waiting;
    await this.session.release();
  }
}

/** What opens networks on one device. */
export class Runtime {
  private constructor(
    private readonly ort: Ort,
    readonly device: "webgpu" | "wasm",
  ) {}

  /**
   * The runtime for a device.
   *
   * @param wasm  folder (an address that ends in "/") of onnxruntime-web's .wasm files; else its own place
   * @param threads  of WebAssembly; more than one needs a page that is cross-origin isolated
   */
  static async open(device: Device, wasm?: string, threads?: number): Promise<Runtime> {
    if (!["auto", "webgpu", "wasm"].includes(device)) {
      throw new MienError(`device must be "auto", "webgpu" or "wasm", got ${JSON.stringify(device)}`);
    }
    const gpu = device !== "wasm" && (await hasAdapter());
    if (device === "webgpu" && !gpu) throw new MienError('this browser has no WebGPU adapter: use device "auto" or "wasm"');
    if (gpu) {
      try {
        return await Runtime.on("webgpu", (await import("onnxruntime-web/webgpu")) as unknown as Ort, wasm, threads);
      } catch (error) {
        if (device === "webgpu") throw error;
      }
    }
    if (!hasSimd()) {
      throw new MienError(
        "this browser runs neither WebGPU nor WebAssembly with SIMD: use Chrome or Edge 91, Firefox 89, Safari 16.4 or newer",
      );
    }
    return Runtime.on("wasm", (await import("onnxruntime-web/wasm")) as unknown as Ort, wasm, threads);
  }

  private static async on(device: "webgpu" | "wasm", ort: Ort, wasm?: string, threads?: number): Promise<Runtime> {
    ort.env.logLevel = "error";
    const alone = typeof crossOriginIsolated === "undefined" || !crossOriginIsolated;
    ort.env.wasm.numThreads = alone ? 1 : (threads ?? Math.min(4, navigator.hardwareConcurrency || 1));
    if (wasm) ort.env.wasm.wasmPaths = { wasm: new URL(FILES[device], wasm).href };
    const runtime = new Runtime(ort, device);
    if (device === "webgpu") await runtime.session(TINY); // a device that does not start falls back here, not later
    return runtime;
  }

  /** A network from the bytes of its ONNX file. `floats`: its weights are stored small, but computed as floats. */
  async session(model: Uint8Array, floats = false): Promise<Session> {
    const options: InferenceSession.SessionOptions = {
      executionProviders: this.device === "webgpu" ? ["webgpu", "wasm"] : ["wasm"],
      logSeverityLevel: 3,
      ...(floats ? { extra: { session: { disable_quant_qdq: "1" } } } : {}),
    };
    return new Session(this.ort, await this.ort.InferenceSession.create(model, options));
  }
}

const FILES = { wasm: "ort-wasm-simd-threaded.wasm", webgpu: "ort-wasm-simd-threaded.asyncify.wasm" };

// y = x + x, float32 (1): the least network there is
const TINY = Uint8Array.from(
  atob("CAg6NQoOCgF4CgF4EgF5IgNBZGQSAXRaDwoBeBIKCggIARIECgIIAWIPCgF5EgoKCAgBEgQKAggBQgQKABAR"),
  (c) => c.charCodeAt(0),
);

interface Adapter {
  info?: { isFallbackAdapter?: boolean };
}

async function hasAdapter(): Promise<boolean> {
  const gpu = typeof navigator === "undefined" ? undefined : (navigator as { gpu?: { requestAdapter(): Promise<Adapter | null> } }).gpu;
  try {
    const adapter = await gpu?.requestAdapter();
    return Boolean(adapter) && !adapter?.info?.isFallbackAdapter; // one that the processor plays is slower than WebAssembly
  } catch {
    return false;
  }
}

/** Whether a function that makes a vector is valid here. */
function hasSimd(): boolean {
  const code = [0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11];
  return typeof WebAssembly === "object" && WebAssembly.validate(Uint8Array.from(code));
}
