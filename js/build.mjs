/* Builds the package into lib/ and, with "site", the static page into dist/; prints what each part weighs.

     node build.mjs           lib/: mien.js and jspsych.js for bundlers (onnxruntime-web stays a dependency), types, models/
     node build.mjs site DIR  dist/: the page that any static host serves, with the models' files from DIR */

import { build } from "esbuild";
import { execFileSync } from "node:child_process";
import { copyFileSync, cpSync, existsSync, rmSync } from "node:fs";
import { buildSite } from "./site.mjs";

const common = { bundle: true, format: "esm", target: "es2022", legalComments: "none", logLevel: "warning" };

// the extension takes the package that lies beside it, so that a page loads it once
const beside = { name: "beside", setup: (made) => made.onResolve({ filter: /^mien$/ }, () => ({ path: "./mien.js", external: true })) };
const extension = { ...common, entryPoints: { jspsych: "jspsych/index.ts", "jspsych-worker": "jspsych/worker.ts" }, plugins: [beside] };

const types = (...options) => execFileSync("node", ["node_modules/typescript/bin/tsc", ...options], { stdio: "inherit" });

async function buildPackage() {
  rmSync("lib", { recursive: true, force: true });
  await build({ ...common, entryPoints: { mien: "src/index.ts" }, outdir: "lib", external: ["onnxruntime-web"] });
  copyFileSync("../LICENSE", "lib/LICENSE");
  if (existsSync("models")) cpSync("models", "lib/models", { recursive: true });
  await build({ ...extension, outdir: "lib" });
  types();
  types("--project", "jspsych"); // reads the types of "mien" from lib/
}

if (process.argv[2] === "site") await buildSite(process.argv[3], common, extension);
else await buildPackage();
