/* Modules of the library by themselves, not its bundle; onnxruntime-web is globalThis.onnxruntime, as a test makes it. */

import { build } from "esbuild";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const ROOT = new URL("..", import.meta.url).pathname;

const planted = {
  name: "planted",
  setup(made) {
    made.onResolve({ filter: /^\.\/onnxruntime\.js$/ }, () => ({ path: "onnxruntime", namespace: "planted" }));
    made.onLoad({ filter: /.*/, namespace: "planted" }, () => ({ contents: "export const { LEAN, onWasm, onWebGpu } = globalThis.onnxruntime ?? {};" }));
  },
};

/** The exports of these modules of src/. */
export async function sources(...names) {
  const contents = names.map((name) => `export * from "./src/${name}.ts";`).join("\n");
  const folder = mkdtempSync(join(tmpdir(), "mien-"));
  const outfile = join(folder, "sources.mjs");
  try {
    await build({ stdin: { contents, resolveDir: ROOT, loader: "ts" }, bundle: true, outfile, format: "esm", platform: "neutral", plugins: [planted] });
    return await import(outfile);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
