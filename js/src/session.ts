/* The one way to onnxruntime-web: on WebGPU where it starts, else on WebAssembly with SIMD; and a clear error where neither
   runs. Leaves out: what the networks compute. */

import type { InferenceSession } from "onnxruntime-web";
import { folderOf } from "./files.js";
import { LEAN, onWasm, onWebGpu, type Ort } from "./onnxruntime.js";
import { inRange, oneOf } from "./options.js";
import { MienError } from "./types.js";

/** What runs the networks: "auto" takes WebGPU where it starts, else WebAssembly. */
export type Device = "auto" | "webgpu" | "wasm";

/** A network's numbers with their shape. */
export interface Values {
  readonly data: Float32Array;
  readonly dims: readonly number[];
}

/** A network to open. `floats`: its weights are stored small, but computed as floats. `read` gives its bytes once more. */
export interface Network {
  name: string;
  bytes: Uint8Array;
  floats?: boolean;
  read: () => Promise<Uint8Array>;
}

export interface RuntimeOptions {
  device?: Device;
  /** Folder of onnxruntime-web's .wasm files; else its own place. */
  wasm?: string;
  /** Of WebAssembly; more than one needs a page that is cross-origin isolated. */
  threads?: number;
}

const FILES = { lean: "ort-lean.wasm", wasm: "ort-wasm-simd-threaded.wasm", webgpu: "ort-wasm-simd-threaded.asyncify.wasm" };
const [ADAPTER_MS, START_MS] = [5000, 60_000]; // a graphics processor that has not come by then does not come; it loads 27 MB

interface Opened {
  ort: Ort;
  session: InferenceSession;
}

/** One opened network. */
export class Session {
  private waiting: Promise<unknown> = Promise.resolve();
  private closed = false;

  /** `again` opens the network a second time in another way, after a run that failed. */
  constructor(
    private opened: Opened,
    private again: ((error: unknown) => Promise<Opened>) | null = null,
  ) {}

  get outputs(): readonly string[] {
    return this.opened.session.outputNames;
  }

  /** One run after the other, whoever asks: onnxruntime-web refuses two at a time. */
  run(input: string, values: Values, outputs: readonly string[]): Promise<Record<string, Values>> {
    const run = this.waiting.then(async () => {
      if (this.closed) throw new MienError("this predictor was closed: make another one with Predictor.create");
      try {
        return await this.once(input, values, outputs);
      } catch (error) {
        if (!this.again) throw error;
        this.opened = await this.again(error);
        this.again = null;
        return this.once(input, values, outputs);
      }
    });
    this.waiting = run.catch(() => {});
    return run;
  }

  private async once(input: string, values: Values, outputs: readonly string[]): Promise<Record<string, Values>> {
    const { ort, session } = this.opened;
    const found = await session.run({ [input]: new ort.Tensor("float32", values.data, values.dims) }, outputs as string[]);
    return Object.fromEntries(outputs.map((name) => [name, { data: found[name].data as Float32Array, dims: found[name].dims }]));
  }

  /** Let go of its memory, after the runs that were asked for; a second time does nothing. */
  async release(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    await this.waiting;
    await this.opened.session.release();
  }
}

/** What opens networks on one device. */
export class Runtime {
  private constructor(
    private readonly ort: Ort,
    readonly device: "webgpu" | "wasm",
    private readonly whole: (() => Promise<Runtime>) | null = null,
  ) {}

  /** The runtime for a device and for the models with these SHA-256. */
  static async open(options: RuntimeOptions, models: readonly string[]): Promise<Runtime> {
    const { device = "wasm", threads } = options;
    oneOf("device", device, ["auto", "webgpu", "wasm"]);
    if (threads !== undefined) inRange("threads", threads, "a whole number from 1 to 64", 1, Number.isInteger(threads) ? 64 : 0);
    const wasm = options.wasm === undefined ? undefined : folderOf("wasm", options.wasm);
    if (device !== "wasm") {
      const found = await Runtime.onGpu(wasm).catch((error: Error) => error);
      if (found instanceof Runtime) return found;
      if (device === "webgpu") throw new MienError(`WebGPU does not start here: ${found.message}; use device "auto" or "wasm"`, { cause: found });
    }
    if (!hasSimd()) {
      throw new MienError(
        "this browser runs neither WebGPU nor WebAssembly with SIMD: use Chrome or Edge 91, Firefox 89, Safari 16.4 or newer",
      );
    }
    const alone = typeof crossOriginIsolated === "undefined" || !crossOriginIsolated;
    const many = alone ? 1 : (threads ?? Math.min(4, navigator.hardwareConcurrency || 1));
    let opened: Promise<Runtime> | null = null;
    const whole = () => (opened ??= onWasm(true).then((ort) => new Runtime(ready(ort, many, wasm, FILES.wasm), "wasm")));
    if (many > 1 || !models.every((model) => LEAN.includes(model))) return whole();
    return new Runtime(ready(await onWasm(false), 1, wasm ?? folderOf("wasm", new URL("./", import.meta.url).href), FILES.lean), "wasm", whole);
  }

  private static async onGpu(wasm?: string): Promise<Runtime> {
    if (!(await within(ADAPTER_MS, hasAdapter(), "no answer to the question for an adapter"))) throw new Error("this browser has no adapter");
    const runtime = new Runtime(ready(await onWebGpu(), 1, wasm, FILES.webgpu), "webgpu");
    await within(START_MS, runtime.tries(), "the least network there is does not come to an end");
    return runtime;
  }

  /** Run the least network there is: a device that does not work is told here, not later. */
  private async tries(): Promise<void> {
    const session = new Session(await this.opened(TINY, false));
    const { y } = await session.run("x", { data: Float32Array.of(1.5), dims: [1] }, ["y"]);
    await session.release();
    if (y.data[0] !== 3) throw new Error(`1.5 + 1.5 gave ${y.data[0]}`);
  }

  /** A network, opened; on the whole WebAssembly file where the lean one does not do. */
  async session({ name, bytes, floats = false, read }: Network): Promise<Session> {
    const otherwise = async (error: unknown) => {
      console.warn(`mien: ${name} wants more than ${FILES.lean} has (${(error as Error).message}); the whole file is loaded`);
      return (await this.whole!()).opened(await read(), floats);
    };
    try {
      const first = this.opened(bytes, floats);
      if (!this.whole) return new Session(await first);
      return await first.then((opened) => new Session(opened, otherwise), async (error) => new Session(await otherwise(error)));
    } catch (error) {
      const { message } = error as Error;
      const remedy = /backend/.test(message) // its own .wasm file
        ? 'lay onnxruntime-web\'s .wasm files beside mien.js, or name their folder: Predictor.create({ wasm: "..." })'
        : "export the model again";
      throw new MienError(`onnxruntime-web does not open ${name} (${message}); ${remedy}`, { cause: error });
    }
  }

  private async opened(model: Uint8Array, floats: boolean): Promise<Opened> {
    const options: InferenceSession.SessionOptions = {
      executionProviders: this.device === "webgpu" ? ["webgpu", "wasm"] : ["wasm"],
      logSeverityLevel: 3,
      ...(floats ? { extra: { session: { disable_quant_qdq: "1" } } } : {}),
    };
    const create = () => this.ort.InferenceSession.create(model, options);
    if (this.device === "wasm") return { ort: this.ort, session: await create() };
    const session = onGpu.then(create);
    onGpu = within(START_MS, session, "no network").catch(() => {}); // one that hangs does not hold the others for ever
    return { ort: this.ort, session: await session };
  }
}

let onGpu: Promise<unknown> = Promise.resolve(); // onnxruntime-web opens one network after the other there, and refuses others

/** onnxruntime-web, told what to load; what it is told after its first network does nothing. */
function ready(ort: Ort, threads: number, wasm: string | undefined, file: string): Ort {
  ort.env.logLevel = "error";
  ort.env.wasm.numThreads = threads;
  if (wasm) ort.env.wasm.wasmPaths = { wasm: new URL(file, wasm).href };
  return ort;
}

/** A promise that fails with `words` after so many milliseconds. */
function within<T>(ms: number, promise: Promise<T>, words: string): Promise<T> {
  let timer: ReturnType<typeof setTimeout>;
  const late = new Promise<never>((_, fail) => (timer = setTimeout(() => fail(new Error(`${words} in ${ms / 1000} s`)), ms)));
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

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
  const adapter = await gpu?.requestAdapter();
  return Boolean(adapter) && !adapter?.info?.isFallbackAdapter; // one that the processor plays is slower than WebAssembly
}

/** Whether a function that makes a vector is valid here. */
function hasSimd(): boolean {
  const code = [0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11];
  return typeof WebAssembly === "object" && WebAssembly.validate(Uint8Array.from(code));
}
