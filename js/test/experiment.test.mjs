/* jsPsych itself, with the extension, in a real Chromium: the example of docs/browser.md and js/jspsych/example.html. */

import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { example, open, PATIENCE, SITE, skip } from "./chromium.mjs";

const ROOT = new URL("..", import.meta.url).pathname;
const MODULES = join(ROOT, "node_modules");
const FILES = {
  "/short.html": () => example("html", "MienExtension"),
  "/example.html": () => readFileSync(join(ROOT, "jspsych/example.html")),
  "/jspsych/jspsych.js": () => readFileSync(join(MODULES, "jspsych/dist/index.browser.min.js")),
  "/jspsych/jspsych.css": () => readFileSync(join(MODULES, "jspsych/css/jspsych.css")),
  "/jspsych/plugin-html-keyboard-response.js": () => readFileSync(join(MODULES, "@jspsych/plugin-html-keyboard-response/dist/index.browser.min.js")),
};
const EXPRESSIONS = ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"];

let [context, address, close] = [];

before(async () => {
  if (!skip) ({ context, address, close } = await open(served));
});

after(() => close?.());

function served(path) {
  if (path in FILES) return FILES[path]();
  const file = join(SITE, path.replace(/^\/mien\//, "/"));
  return path.startsWith("/mien/") && existsSync(file) ? readFileSync(file) : null;
}

async function visit(path, prepare = () => {}) {
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE.timeout);
  const trouble = [];
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && !/favicon|404/.test(message.text()) && trouble.push(message.text()));
  page.on("pageerror", (error) => trouble.push(String(error)));
  const workers = [];
  page.on("worker", (worker) => workers.push(worker.url().split("/").at(-1)));
  await page.addInitScript(prepare);
  await page.goto(address + path);
  return { page, trouble, workers };
}

const refuse = () => {
  navigator.mediaDevices.getUserMedia = async () => { throw new DOMException("Permission denied", "NotAllowedError"); };
};

/** Rows of a CSV whose fields are all quoted, as objects. */
function table(text) {
  const [head, ...rows] = text.trim().split("\r\n").map((line) => [...line.matchAll(/"((?:[^"]|"")*)"/g)].map(([, field]) => field.replaceAll('""', '"')));
  return rows.map((row) => Object.fromEntries(row.map((field, i) => [head[i], field])));
}

const downloaded = async (page, act = () => {}) => {
  const [download] = await Promise.all([page.waitForEvent("download"), act()]);
  return table(readFileSync(await download.path(), "utf8"));
};

test("the example of docs/browser.md: samples of the webcam arrive in jsPsych's table", { skip }, async () => {
  const { page, trouble, workers } = await visit("short.html");
  const [trial] = await downloaded(page);
  const samples = JSON.parse(trial.mien_samples);
  assert.ok(samples.length, trial.mien_samples);
  assert.ok(samples.every(({ time }, i) => time >= 0 && time <= Number(trial.time_elapsed) && (!i || time > samples[i - 1].time)), `${samples.map((s) => s.time)}`);
  assert.deepEqual(Object.keys(samples[0].probabilities), EXPRESSIONS);
  assert.deepEqual([trial.mien_label, samples[0].label, samples[0].missing, samples[0].faces], ["happy", "happy", null, 1]);
  assert.deepEqual(workers, ["jspsych-worker.js"]); // so the page's own thread is free
  assert.deepEqual([trial.mien_missing, trial.mien_model, trial.mien_error, trial.extension_type], ["{}", "mien-nano", "null", '["mien"]']);
  assert.ok(Number(trial.mien_skipped) > 0 && Number(trial.mien_longest_work) > 0, `${trial.mien_skipped}, ${trial.mien_longest_work}`);
  assert.deepEqual(trouble, []);
  console.log(`3 s: ${samples.length} samples, ${trial.mien_skipped} frames skipped, longest work ${trial.mien_longest_work} ms`);
  await page.close();
});

test("a refused camera reaches the experiment, before jsPsych runs or out of it", { skip }, async () => {
  const { page, trouble } = await visit("short.html", refuse);
  await page.waitForFunction(() => document.body.textContent.startsWith("camera: it was refused: allow the camera"));
  const said = await page.evaluate(async () => {
    const { default: MienExtension } = await import("./mien/jspsych.js");
    const jsPsych = initJsPsych({ extensions: [{ type: MienExtension, params: { model: "mien-nano" } }] });
    const wait = { type: jsPsychHtmlKeyboardResponse, stimulus: "+", trial_duration: 100 };
    return jsPsych.run([wait, { ...wait, extensions: [{ type: MienExtension }] }]).then(() => "ran", (error) => `${error.name} ${error.message}`);
  });
  assert.match(said, /^MienError camera: it was refused/);
  assert.deepEqual(trouble, []);
  await page.close();
});

test("the example experiment: consent, camera, four sentences, two tables", { skip }, async () => {
  const { page, trouble } = await visit("example.html");
  await page.waitForSelector("text=Press Y to agree");
  await page.keyboard.press("y");
  await page.waitForSelector("text=Thank you");
  const trials = await downloaded(page, () => page.click("text=Trials"));
  const frames = await downloaded(page, () => page.click("text=Frames"));
  assert.deepEqual(trials.map((trial) => trial.kind).sort(), ["pleasant", "pleasant", "unpleasant", "unpleasant"]);
  assert.equal(frames.length, trials.reduce((sum, trial) => sum + JSON.parse(trial.mien_samples).length, 0));
  assert.ok(frames.length && frames.every((frame) => trials.some(({ text }) => text === frame.text) && Number(frame.happy) > 0.5));
  assert.deepEqual(trouble, []);
  await page.close();
});

test("without a camera the example experiment says so and ends", { skip }, async () => {
  const { page } = await visit("example.html", refuse);
  await page.waitForSelector("text=Press Y to agree");
  await page.keyboard.press("y");
  await page.waitForSelector("text=This experiment needs a camera");
  assert.match(await page.textContent("body"), /camera: it was refused/);
  await page.close();
});
