/* Puts the static page together in dist/: the local page's own files, the package, the models, onnxruntime's WebAssembly, a
   service worker that keeps all of it, and the notices of whose work is in it. Leaves out: the package itself (build.mjs), and
   how the WebAssembly becomes lean (lean.mjs). */

import { build } from "esbuild";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, cpSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const PAGE = "../src/mien/web/page";
const ORT = "node_modules/onnxruntime-web";
const [WASM, LEAN] = ["ort-wasm-simd-threaded.wasm", "ort-lean.wasm"];
const FIRST = "mien-nano"; // the model of the first visit
const EXTENSION = ["jspsych.js", "jspsych-worker.js"]; // for experiments, not for this page
const LIMIT = 6e6; // bytes of the first load, compressed with gzip, which every static host has

// inline styles: positions of boxes and widths of bars, set one by one by scripts, which need no permission
const POLICY = [
  "default-src 'none'", "script-src 'self' 'wasm-unsafe-eval'", "style-src 'self'", "img-src 'self' data: blob:", "media-src 'self' blob:",
  "connect-src 'self'", "worker-src 'self'", "manifest-src 'self'", "base-uri 'none'", "form-action 'none'",
].join("; ");

export async function buildSite(models, common, extension) {
  rmSync("dist", { recursive: true, force: true });
  mkdirSync("dist/models", { recursive: true });
  cpSync(PAGE, "dist/page", { recursive: true, filter: (path) => !/\.d\.ts$|\/review[^/]*$/.test(path) }); // films need a server
  writeFileSync("dist/index.html", index());
  rmSync("dist/page/index.html");
  for (const name of readdirSync(models)) copyFileSync(join(models, name), join("dist/models", name));
  copyFileSync(join(ORT, "dist", WASM), join("dist", WASM));
  copyFileSync(join(ORT, "dist/ort.wasm.bundle.min.mjs"), "dist/ort.js");
  execFileSync("node", ["lean.mjs", models, join("dist", WASM), join("dist", LEAN)], { stdio: "inherit" });
  const served = JSON.stringify(descriptions().map(({ sha256 }) => sha256));
  await build({ ...common, entryPoints: { mien: "src/index.ts" }, outdir: "dist", minify: true, plugins: [lying], define: { LEAN_MODELS: served } });
  await build({ ...extension, outdir: "dist", minify: true });
  writeFileSync("dist/models/index.json", JSON.stringify(modelList(), null, 1));
  writeFileSync("dist/manifest.webmanifest", JSON.stringify(manifest(), null, 1));
  writeFileSync("dist/LICENSES.txt", notices());
  writeFileSync("dist/sw.js", serviceWorker());
  weigh();
}

// until the networks run; what comes late is for slow connections, and for a page whose scripts a browser does not run
const LOADING = '<span id="accuracy">Loading the networks …</span> ' +
  '<span class="late">It takes long: the first visit loads 3 MB. A page that was opened as a file cannot run; its folder wants a web server, such as <code>python -m http.server</code>.</span>';

// onnxruntime-web lies beside mien.js, instead of in it
const lying = { name: "lying", setup: (made) => made.onResolve({ filter: /^\.\/onnxruntime\.js$/ }, ({ resolveDir }) => ({ path: join(resolveDir, "onnxruntime-page.ts") })) };

/** The page's HTML, with its engine, its policy and its manifest. */
function index() {
  const html = readFileSync(join(PAGE, "index.html"), "utf8");
  const head = `<meta http-equiv="Content-Security-Policy" content="${POLICY}">\n<link rel="manifest" href="manifest.webmanifest">\n`;
  const made = html
    .replace('data-engine="server"', 'data-engine="browser"')
    .replace('<meta name="viewport"', `${head}<meta name="viewport"`)
    .replace('<span id="accuracy">Asking which model runs …</span>', LOADING)
    .replace("</main>", '</main>\n\n<footer class="foot quiet"><a href="LICENSES.txt">Whose work this is</a></footer>');
  if (![POLICY, LOADING, 'data-engine="browser"', "LICENSES.txt"].every((part) => made.includes(part))) throw new Error("index.html has changed: mend site.mjs");
  return made;
}

/** What lies beside each network, the detector's included. */
function descriptions() {
  const all = readdirSync("dist/models").filter((name) => name.endsWith(".json") && name !== "index.json");
  return all.map((name) => JSON.parse(readFileSync(join("dist/models", name), "utf8")));
}

/** The networks that the page offers, the first one first. */
function modelList() {
  const about = descriptions().filter((m) => m.labels);
  about.sort((a, b) => Number(b.name === FIRST) - Number(a.name === FIRST) || b.bytes - a.bytes);
  return about.map(({ name, bytes, accuracy }) => ({ name, bytes, accuracy }));
}

function manifest() {
  return {
    name: "mien: facial expressions", short_name: "mien", description: "Facial expressions in photos and on the webcam, in this browser.",
    start_url: "./", scope: "./", display: "standalone", background_color: "#f6f7f9", theme_color: "#1f4e6d",
    icons: [{ src: "page/icon.svg", sizes: "any", type: "image/svg+xml", purpose: "any" }],
  };
}

function notices() {
  const parts = [
    ["mien: code and networks", readFileSync("../LICENSE", "utf8")],
    ["CenterFace, the face detector", readFileSync("dist/models/LICENSE.centerface-small", "utf8")],
    ["onnxruntime-web (Microsoft); ort-lean.wasm is its WebAssembly file without what these networks never call", readFileSync("licences/onnxruntime.txt", "utf8")],
  ];
  const about = JSON.parse(readFileSync(`dist/models/${FIRST}.json`, "utf8"));
  return parts.map(([head, text]) => `${head}\n${"=".repeat(head.length)}\n\n${text.trim()}\n`).join("\n\n") + `\n\nThe networks' terms: ${about.licence}\n`;
}

/** Every file below dist/, by its path there. */
const below = () => readdirSync("dist", { recursive: true, withFileTypes: true }).filter((e) => e.isFile()).map((e) => relative("dist", join(e.parentPath, e.name)).replaceAll("\\", "/")).sort();

/** What the first visit loads; other networks and the whole WebAssembly come when they are asked for, and what is for
    experiments not at all. */
function firstLoad() {
  const others = modelList().map((m) => m.name).filter((name) => name !== FIRST);
  return below().filter((name) => !["sw.js", WASM, ...EXTENSION].includes(name) && !others.some((other) => name.startsWith(`models/${other}.`)));
}

/** sw.js, with the list of files and a name that changes with any of them. */
function serviceWorker() {
  const files = firstLoad();
  const digest = createHash("sha256");
  for (const name of below()) digest.update(name).update(readFileSync(join("dist", name)));
  const source = readFileSync("service-worker.js", "utf8");
  const values = { '"VERSION"': `mien-${digest.digest("hex").slice(0, 12)}`, '["FILES"]': ["./", ...files.filter((name) => name !== "index.html")], '"WHOLE"': WASM };
  return Object.entries(values).reduce((text, [mark, value]) => text.replace(mark, JSON.stringify(value)), source);
}

/** Print what each part weighs; fail where the first load is over the limit. */
function weigh() {
  const groups = new Map();
  const first = new Set([...firstLoad(), "sw.js"]);
  for (const name of below()) {
    const group = name === WASM ? "onnxruntime, whole" : [LEAN, "ort.js"].includes(name) ? "onnxruntime, lean" : name.startsWith("models/") ? name.replace(/\.(onnx|json)$/, "") : ["mien.js", ...EXTENSION].includes(name) ? name : "page";
    const bytes = readFileSync(join("dist", name));
    const [raw, zip, br] = groups.get(group) ?? [0, 0, 0];
    const brotli = brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 9 } }).length;
    groups.set(group, [raw + bytes.length, zip + gzipSync(bytes, { level: 9 }).length, br + brotli, first.has(name)]);
  }
  const line = (name, sizes) => console.log(name.padEnd(34), ...sizes.map((n) => `${(n / 1e3).toFixed(0)} kB`.padStart(10)));
  console.log("part".padEnd(34), ...["bytes", "gzip", "brotli"].map((h) => h.padStart(10)));
  const total = [0, 0, 0];
  for (const [name, [raw, zip, br, loaded]] of groups) {
    line(loaded ? name : `${name} (when asked for)`, [raw, zip, br]);
    if (loaded) [raw, zip, br].forEach((n, i) => (total[i] += n));
  }
  line("first load", total);
  if (total[1] > LIMIT) throw new Error(`the first load is ${total[1]} bytes with gzip, over ${LIMIT}`);
  console.log(`js/dist: ${below().length} files, ${(below().reduce((sum, name) => sum + statSync(join("dist", name)).size, 0) / 1e6).toFixed(1)} MB; any static host serves it`);
}
