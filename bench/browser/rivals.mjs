/* Measures the libraries of page/libraries.js in one Chromium after the other; prints JSON for rivals.py.

     node bench/browser/rivals.mjs '{"part": "speed", "libraries": ["mien-nano"], ...}' */

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { extname, join, normalize } from "node:path";
import { createServer } from "node:http";
import { gzipSync } from "node:zlib";
import { execFileSync } from "node:child_process";
import { createRequire } from "node:module";

const ROOT = new URL("../../", import.meta.url).pathname;
const { chromium } = createRequire(join(ROOT, "js/package.json"))("playwright-core");
const TYPES = { ".html": "text/html", ".js": "text/javascript", ".json": "application/json", ".wasm": "application/wasm", ".jpg": "image/jpeg" };
const given = JSON.parse(process.argv[2]);
const HTML = '<!doctype html><title>bench</title><script type="module" src="/bench/measuring.js"></script>';
const packed = new Map();
let sent = 0; // bytes of libraries, networks and WebAssembly, compressed

/** The file behind an address; those of libraries count. */
function fileOf(path) {
  const places = [["/bench/", "bench/browser/page/"], ["/mien/", "js/dist/"], ["/rivals/", `${given.rivals}/node_modules/`]];
  const place = places.find(([head]) => path.startsWith(head));
  if (place) return join(ROOT, place[1], path.slice(place[0].length));
  return { "/faces.bin": join(ROOT, given.rivals, "faces.bin"), "/portrait.jpg": join(ROOT, "examples/astronaut.jpg") }[path];
}

const server = createServer((request, response) => {
  const path = normalize(decodeURIComponent(new URL(request.url, "http://x").pathname));
  if (path === "/") return response.writeHead(200, { "Content-Type": "text/html" }).end(HTML);
  const file = fileOf(path);
  if (!file || !existsSync(file)) return response.writeHead(404).end();
  if (!packed.has(file)) packed.set(file, gzipSync(readFileSync(file), { level: 9 }));
  const body = packed.get(file);
  if (/^\/(mien|rivals)\//.test(path)) sent += body.length;
  response.writeHead(200, { "Content-Type": TYPES[extname(path)] ?? "application/octet-stream", "Content-Encoding": "gzip", "Cache-Control": "max-age=600" }).end(body);
});

/** A new browser with one page that has opened `name`. */
async function opened(name) {
  const browser = await chromium.launch({ executablePath: given.chromium, args: ["--no-sandbox", "--js-flags=--expose-gc"] });
  const page = await browser.newPage();
  page.setDefaultTimeout(600_000);
  page.on("pageerror", (error) => console.error(`${name}: ${error}`));
  await page.goto(address);
  await page.waitForFunction(() => window.bench);
  sent = 0;
  const pages = await processes(browser);
  const [empty, idle] = [pages.map(memory), pages.map(worked)];
  const first = await page.evaluate(([n, b]) => bench.first(n, b), [name, given.backend ?? "wasm"]);
  if (first.answer < 0) throw new Error(`${name}: no face in the first frame`);
  const busy = pages.map((pid, i) => worked(pid) - idle[i]);
  const at = busy.indexOf(Math.max(...busy)); // the page's; the others wait for pages to come. Memory is that of the one that grew:
  // on a machine with much else to do another was the busiest once
  return { browser, page, pid: pages[at], first: { ...first, cpu_ms: busy[at], bytes: sent }, used: () => Math.max(...pages.map((pid, i) => memory(pid) - empty[i])) };
}

/** The processes that show pages. */
async function processes(browser) {
  const session = await browser.newBrowserCDPSession();
  const { processInfo } = await session.send("SystemInfo.getProcessInfo");
  return processInfo.filter((p) => p.type === "renderer").map((p) => p.id);
}

/** Milliseconds of processor time that a process and its threads have had: what else the machine does is not in it. */
function worked(pid) {
  const threads = readdirSync(`/proc/${pid}/task`);
  return threads.reduce((sum, thread) => sum + Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8").split(" ")[0]), 0) / 1e6;
}

/** Private memory of a process in bytes, as the system counts it. */
function memory(pid) {
  const told = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8").matchAll(/^Private_(?:Clean|Dirty): +(\d+) kB/gm);
  return [...told].reduce((sum, [, kB]) => sum + 1024 * kB, 0);
}

const median = (list) => list.toSorted((a, b) => a - b)[Math.floor(list.length / 2)];
const share = (said, labels) => said.filter((label, i) => label === labels[i]).length / labels.length;

/** Repeated in new browsers: what `once` gives, each figure the median, and the least and most of each. */
async function repeated(name, once) {
  const runs = [];
  for (let i = 0; i < given.rounds; i++) runs.push(await once(name));
  const of = (key) => runs.map((run) => run[key]).toSorted((a, b) => a - b);
  const figures = Object.keys(runs[0]).filter((key) => typeof runs[0][key] === "number");
  const spread = figures.map((key) => [key, [of(key)[0], of(key).at(-1)]]);
  return { ...runs[0], ...Object.fromEntries(figures.map((key) => [key, median(of(key))])), spread: Object.fromEntries(spread) };
}

/** Processor time of the first answer, and of a call of each kind. */
async function speed(name) {
  const { browser, page, pid, first } = await opened(name);
  const out = { backend: first.backend, bytes: first.bytes, first_wall_ms: first.ms, first_ms: first.cpu_ms };
  for (const [way, n] of [["whole", 10], ["detect", 10], ["network", 40], ["frame", 75]]) {
    const ask = (k) => (way === "frame" ? page.evaluate((f) => bench.play(f), k) : page.evaluate(([w, m]) => bench.asked(w, m), [way, k]));
    await ask(5);
    const busy = worked(pid);
    await ask(n);
    out[`${way}_ms`] = (worked(pid) - busy) / n;
  }
  await browser.close();
  return out;
}

/** Memory after many frames, beside that of the empty page; `collected`: after the garbage was. */
async function remembered(name) {
  const { browser, page, used } = await opened(name);
  const answers = [];
  for (let done = 0; done < given.frames; done += 100) answers.push(...(await page.evaluate((n) => bench.play(n), Math.min(100, given.frames - done))));
  const bytes = used();
  await page.evaluate(() => window.gc());
  const out = { bytes, collected: used(), without_face: answers.filter((a) => a < 0).length };
  await browser.close();
  return out;
}

/** Accuracy; the framing is the one of several in which a library finds most faces of Training. */
async function accuracy(name) {
  const { browser, page } = await opened(name);
  const ask = (way, from, to, framing) => page.evaluate((a) => bench.answers(...a), [way, from, to, framing]);
  const tried = [];
  for (const framing of given.framings) {
    const { answers } = await ask("whole", 0, given.tuning, framing);
    tried.push({ ...framing, found: answers.filter((a) => a >= 0).length });
  }
  const best = tried.reduce((a, b) => (b.found > a.found ? b : a));
  const whole = await ask("whole", given.tuning, given.tuning + given.whole, best);
  const seen = whole.answers.flatMap((a, i) => (a < 0 ? [] : [[a, whole.labels[i]]]));
  const network = await ask("network", given.tuning, given.tuning + given.alone);
  await browser.close();
  return {
    tried, framing: { side: best.side, margin: best.margin },
    whole: { n: whole.labels.length, found: seen.length, right: share(whole.answers, whole.labels), right_of_found: share(seen.map(([a]) => a), seen.map(([, l]) => l)) },
    network: { n: network.labels.length, right: share(network.answers, network.labels) },
  };
}

const PARTS = { speed: (name) => repeated(name, speed), memory: (name) => repeated(name, remembered), accuracy };

await new Promise((done) => server.listen(0, "127.0.0.1", done));
const address = `http://127.0.0.1:${server.address().port}/`;
const out = { chromium: execFileSync(given.chromium, ["--version"], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim(), libraries: {} };
for (const name of given.libraries) out.libraries[name] = await PARTS[given.part](name);
server.close();
server.closeAllConnections();
console.log(JSON.stringify(out));
