/* The static page in a real Chromium with a clean profile: photos and webcam, with the network cut after the first visit. */

import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { example, open, PATIENCE, SITE, skip } from "./chromium.mjs";
import { folder } from "./golden.mjs";

const ASTRONAUT = new URL("../../examples/astronaut.jpg", import.meta.url).pathname;

const OWN = {
  "/own/": () => example("html", "Predictor"),
  "/own/worker.html": () => "<!doctype html><title>worker</title>",
  "/own/worker.js": () => example("js", "onmessage"),
  "/own/photo.jpg": () => readFileSync(ASTRONAUT),
  "/own/slow.jpg": () => new Promise((done) => setTimeout(() => done(readFileSync(ASTRONAUT)), 1000)),
  "/isolated/": () => "<!doctype html><title>isolated</title>",
  "/isolated/photo.jpg": () => readFileSync(ASTRONAUT),
};

let [server, context, page, address, close] = [];
const trouble = [];
const [asked, sent] = [[], []]; // addresses; paths that the server gave
let second = false; // whether the server has another version of the page

before(async () => {
  if (skip) return;
  ({ server, context, address, close } = await open(served));
  page = await context.newPage();
  page.setDefaultTimeout(PATIENCE.timeout);
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && trouble.push(message.text()));
  page.on("pageerror", (error) => trouble.push(String(error)));
  context.on("request", (request) => asked.push(request.url()));
  await page.goto(address);
  await ready();
});

after(() => close?.());

/** A file of the page; below own/ what docs/browser.md shows, with the page's folder as mien/. */
function served(path) {
  sent.push(path);
  if (path in OWN) return OWN[path]();
  const file = join(SITE, path === "/" ? "index.html" : path.replace(/^\/(own|isolated)\/mien\//, "/"));
  if (!existsSync(file)) return null;
  const changed = { "/": ["<title>", "<title>second "], "/sw.js": [/mien-[0-9a-f]{12}/, "mien-second"] }[path];
  return second && changed ? readFileSync(file, "utf8").replace(...changed) : readFileSync(file);
}

const wasm = () => [...new Set(sent.filter((path) => path.endsWith(".wasm")))];

const ready = () => page.waitForSelector("html[data-ready]", PATIENCE);
const said = () => JSON.parse(readFileSync(join(folder, "browser.json"), "utf8"));

/** Give the page a photo, and wait for its card. */
async function choose(file) {
  const before = await page.locator(".card").count();
  await page.setInputFiles("#files", file);
  await page.waitForFunction((n) => document.querySelectorAll(".card:is([data-outcome=good], [data-outcome=bad], [data-outcome=none])").length > n, before, PATIENCE);
  return page.locator(".card").first();
}

/** Whether one person keeps one number, where frames follow each other fast enough to tell: [seconds, number] of each. */
function keepsItsNumber(frames) {
  frames.slice(1).forEach(([time, number], i) => {
    if (time - frames[i][0] < 0.5) assert.equal(number, frames[i][1], `at ${time} s`);
  });
}

/** What the page would save as JSON. */
async function saved() {
  const [download] = await Promise.all([page.waitForEvent("download"), page.click("#photo-json")]);
  return JSON.parse(readFileSync(await download.path(), "utf8"));
}

const apart = (a, b) => Math.max(...a.map((v, i) => Math.abs(v - b[i])));

test("a clean browser answers as Python does, EXIF applied, and asks nobody else", { skip }, async () => {
  await choose(ASTRONAUT);
  await choose(join(folder, "turned.jpg"));
  const { model, photos: [turned, astronaut] } = await saved();
  assert.equal(model, "mien-nano");
  for (const [ours, python] of [[astronaut, said().astronaut], [turned, said().turned]]) {
    assert.deepEqual([ours.width, ours.height], [python.width, python.height]);
    assert.equal(ours.faces.length, 1);
    assert.ok(apart(ours.faces[0].box, python.faces[0].box) <= 1, `${ours.faces[0].box}, Python ${python.faces[0].box}`);
    assert.equal(ours.faces[0].label, python.faces[0].label);
    const [p, q] = [ours, python].map((photo) => Object.values(photo.faces[0].probabilities));
    assert.ok(apart(p, q) <= 0.05, `${p}, Python ${q}`);
  }
  assert.deepEqual(wasm(), ["/ort-lean.wasm"]);
  assert.deepEqual(asked.filter((url) => !url.startsWith(address) && !/^(blob|data):/.test(url)), []);
  assert.equal(await page.locator(".card .tile:not([hidden]) img").count(), 4); // two crops, two views of the attention
  await page.locator(".card button[aria-label^=Show]").first().click();
  await page.waitForSelector(".card .tile:nth-child(3):not([hidden])");
});

test("what is no picture is said, and the page goes on", { skip }, async () => {
  const card = await choose({ name: "note <b>.png", mimeType: "image/png", buffer: Buffer.from("no picture") });
  assert.match(await card.locator(".outcome").textContent(), /^cannot be read: this browser cannot read it/);
  assert.equal(await card.locator("h3").textContent(), "note <b>.png");
});

test("a phone needs no sideways scrolling, in light and dark, and links can be read", { skip }, async () => {
  const over = () => document.documentElement.scrollWidth - document.documentElement.clientWidth;
  const colours = () => [...document.querySelectorAll(".facts a, .foot a")].map((link) => getComputedStyle(link).color);
  const seen = new Set();
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    for (const width of [320, 375, 1200]) {
      await page.setViewportSize({ width, height: 800 });
      assert.ok((await page.evaluate(over)) <= 0, `${width} pixels, ${colorScheme}`);
    }
    const links = await page.evaluate(colours);
    assert.ok(links.length >= 3); // two other networks, and whose work this is
    links.forEach((colour) => seen.add(colour));
  }
  assert.equal(seen.size, 2); // one accent for each ground
});

test("the examples of docs/browser.md run: five lines in a page, a worker, a stream", { skip }, async () => {
  const own = await context.newPage();
  await own.goto(`${address}own/`);
  await own.waitForFunction(() => /happy 0\.\d\d|happy 1\.00/.test(document.body.textContent), null, PATIENCE);
  const followed = await own.evaluate(async () => {
    const { Predictor } = await import("./mien/mien.js");
    const predictor = await Predictor.create({ model: "mien-nano", size: 320 });
    const video = Object.assign(document.createElement("video"), { muted: true });
    video.srcObject = await navigator.mediaDevices.getUserMedia({ video: true });
    await video.play();
    const frames = [];
    const watch = predictor.stream(video, ({ photo }) => frames.push(photo) === 3 && watch.stop(), { look: 0.5 });
    await watch.done;
    await predictor.close();
    return frames.map(({ faces, time }) => [faces.map((face) => face.track), time]);
  });
  assert.deepEqual(followed.map(([tracks]) => tracks.length), [1, 1, 1]);
  keepsItsNumber(followed.map(([[track], time]) => [time, track]));
  assert.ok(followed[0][1] < followed[2][1]);
  await own.goto(`${address}own/worker.html`);
  const answer = await own.evaluate(async () => {
    const worker = new Worker("worker.js", { type: "module" });
    const blob = await (await fetch("photo.jpg")).blob();
    return new Promise((done, fail) => {
      worker.onmessage = ({ data }) => done(data);
      worker.onerror = (error) => fail(error.message);
      setTimeout(() => worker.postMessage(blob), 100);
    });
  });
  assert.equal(answer.faces[0].label, "happy");
  await own.close();
});

test("an <img> that is still loading is waited for; one of another host, or without a picture, is an error that says what to do", { skip }, async () => {
  const own = await context.newPage();
  await own.goto(`${address}own/worker.html`);
  const said = await own.evaluate(async (other) => {
    const { Predictor } = await import("./mien/mien.js");
    const predictor = await Predictor.create({ model: "mien-nano", size: 320 });
    const image = (src) => Object.assign(new Image(), { src });
    const answers = [];
    for (const picture of [image("slow.jpg"), image(other), image("none.jpg"), document.createElement("video"), image("mien/page/icon.svg")]) {
      answers.push(await predictor.predict(picture).then(({ faces }) => faces.length, (error) => `${error.name}: ${error.message}`));
    }
    await predictor.close();
    return answers;
  }, `${address.replace("127.0.0.1", "localhost")}own/photo.jpg`);
  assert.equal(said[0], 1);
  assert.match(said[1], /^MienError: this HTMLImageElement shows a picture of another host.*crossorigin="anonymous"/);
  assert.match(said[2], /^MienError: the <img> shows no picture: ".*none\.jpg" cannot be loaded/);
  assert.match(said[3], /^MienError: picture must show something, but this HTMLVideoElement is 0 x 0 pixels: wait for its event loadeddata/);
  assert.equal(said[4], 0);
  await own.close();
});

test("on an isolated page several threads run, in the whole WebAssembly", { skip }, async () => {
  const own = await context.newPage();
  await own.goto(`${address}isolated/`);
  const [isolated, label] = await own.evaluate(async () => {
    const { Predictor } = await import("./mien/mien.js");
    const predictor = await Predictor.create({ model: "mien-nano", threads: 2 });
    const photo = await predictor.predict(await (await fetch("photo.jpg")).blob());
    await predictor.close();
    return [crossOriginIsolated, photo.faces[0].label];
  });
  assert.deepEqual([isolated, label], [true, "happy"]);
  assert.ok(wasm().includes("/isolated/mien/ort-wasm-simd-threaded.wasm"));
  await own.close();
});

test("another version serves when the last window of the old one is closed, whole, with the networks that were asked for", { skip }, async () => {
  await page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined));
  await page.goto(`${address}?model=mien-small`);
  await ready();
  second = true;
  const title = () => page.title();
  await page.evaluate(async () => void (await (await navigator.serviceWorker.getRegistration()).update()));
  await page.waitForFunction(async () => (await navigator.serviceWorker.getRegistration()).waiting, null, PATIENCE);
  await page.reload();
  assert.doesNotMatch(await title(), /^second/);
  for (let tries = 20; tries && !/^second/.test(await title()); tries--) {
    await page.goto("about:blank");
    await page.waitForTimeout(500); // the browser takes its time to let go of the old one
    await page.goto(address);
  }
  assert.match(await title(), /^second/);
  await ready();
  const kept = await page.evaluate(async () => [await caches.keys(), Boolean(await caches.match("models/mien-small.onnx"))]);
  assert.deepEqual(kept, [["mien-second"], true]);
});

test("with the network cut and the server gone, the page opens and answers photos and webcam", { skip }, async () => {
  await page.evaluate(() => navigator.serviceWorker.ready.then(({ active }) => active.state));
  server.closeAllConnections();
  await new Promise((done) => server.close(done));
  await context.setOffline(true);
  await page.reload();
  const card = await choose(ASTRONAUT); // while the networks are being opened
  assert.equal(await card.locator(".outcome").textContent(), "1 face");
  await page.click("#tab-webcam");
  await page.click("#cam-switch");
  await page.waitForSelector("#live-faces .face");
  await page.waitForFunction(() => document.querySelector("#cam-rate").textContent.includes("frames a second"), null, PATIENCE);
  await page.waitForTimeout(5000);
  const [download] = await Promise.all([page.waitForEvent("download"), page.click("#history-csv")]);
  const [head, ...rows] = readFileSync(await download.path(), "utf8").trim().split("\n");
  assert.equal(head, "time,face,label,angry,disgust,fear,happy,sad,surprise,neutral,left,top,right,bottom,usable");
  assert.ok(rows.length > 1);
  keepsItsNumber(rows.map((row) => row.split(",").slice(0, 2).map(Number)));
  console.log(`webcam: ${await page.textContent("#cam-rate")}`);
  await page.click("#cam-switch");
  assert.deepEqual(trouble.filter((line) => !/ERR_INTERNET_DISCONNECTED|ERR_FAILED/.test(line)), []);
});
