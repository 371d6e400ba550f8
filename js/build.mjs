/* Builds the package into lib/ and, with "site", the static page into dist/; prints what each part weighs.

     node build.mjs           lib/: mien.js for bundlers (onnxruntime-web stays a dependency), types, models/
     node build.mjs site DIR  dist/: the page that any static host serves, with the models' files from DIR */

import { build } from "esbuild";
import { execFileSync } from "node:child_process";
import { copyFileSync, cpSync, existsSync, rmSync } from "node:fs";
import { buildSite } from "./site.mjs";

const common = { bundle: true, format: "esm", target: "es2022", legalComments: "none", logLevel: "warning" };

async function buildPackage() {
  rmSync("lib", { recursive: true, force: true });
  await build({ ...common, entryPoints: { mien: "src/index.ts" }, outdir: "lib", external: ["onnxruntime-web"] });
  copyFileSync("../LICENSE", "lib/LICENSE");
  if (existsSync("models")) cpSync("models", "lib/models", { recursive: true });
  execFileSync("node", ["node_modules/typescript/bin/tsc"], { stdio: "inherit" });
}

if (process.argv[2] === "site") await buildSite(process.argv[3], common);
else await buildPackage();
