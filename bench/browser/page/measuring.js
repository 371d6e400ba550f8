/* What is measured in the page: called by rivals.mjs, one thing after the other. Leaves out: bytes and memory, which only
   the outside sees. */

import { LIBRARIES } from "./libraries.js";

const [WIDTH, HEIGHT] = [640, 480];
const CROP = 48;
let [library, portrait, faces, labels] = [];

const canvasOf = (width, height) => Object.assign(document.createElement("canvas"), { width, height });
const penOf = (canvas) => canvas.getContext("2d", { willReadFrequently: true });
const screen = canvasOf(WIDTH, HEIGHT);
const clock = performance.now.bind(performance);

/** A frame of a webcam: one face, of 120 to 160 pixels, that moves and comes nearer and back. */
function frame(number) {
  const zoom = 0.95 + 0.15 * Math.sin(number / 40);
  const [x, y] = [60 * Math.sin(number / 25), 30 * Math.cos(number / 31)];
  const pen = penOf(screen);
  pen.fillStyle = "#777";
  pen.fillRect(0, 0, WIDTH, HEIGHT);
  const [width, height] = [portrait.width * zoom, portrait.height * zoom];
  pen.drawImage(portrait, WIDTH / 2 - 0.45 * width + x, HEIGHT / 2 - 0.3 * height + y, width, height);
  return screen;
}

/** Open a library and answer on the first frame: milliseconds since the page was asked for, the fetching included. */
export async function first(name, backend) {
  const response = await fetch("/portrait.jpg");
  portrait = await createImageBitmap(await response.blob());
  const began = clock();
  library = await LIBRARIES[name](backend);
  const answer = await library.whole(frame(0));
  return { ms: clock() - began, answer, backend: library.backend };
}

/** Ask `n` times; `way`: "whole", "detect" or "network". Gives the milliseconds of each on the clock. */
export async function asked(way, n) {
  const out = [];
  const crop = canvasOf(160, 160);
  penOf(crop).drawImage(frame(0), 240, 130, 160, 160, 0, 0, 160, 160);
  for (let i = 0; i < n; i++) {
    const picture = way === "network" ? crop : frame(i);
    const began = clock();
    await library[way](picture);
    out.push(clock() - began);
  }
  return out;
}

let played = 0;

/** `n` more frames of a webcam that gives 15 a second: all libraries see that clock, whatever the machine takes. */
export async function play(n) {
  const answers = [];
  for (const end = played + n; played < end; ) {
    const seconds = played / 15;
    performance.now = () => 1000 * seconds;
    answers.push(await library.frame(frame(played++), seconds));
  }
  performance.now = clock;
  return answers;
}

async function read() {
  const bytes = new Uint8Array(await (await fetch("/faces.bin")).arrayBuffer());
  const n = bytes.length / (CROP * CROP + 1);
  [labels, faces] = [bytes.subarray(0, n), bytes.subarray(n)];
}

/** Crop `i`, as it is. */
function cropOf(i) {
  const canvas = canvasOf(CROP, CROP);
  const image = new ImageData(CROP, CROP);
  const grey = faces.subarray(i * CROP * CROP, (i + 1) * CROP * CROP);
  grey.forEach((v, k) => image.data.set([v, v, v, 255], 4 * k));
  penOf(canvas).putImageData(image, 0, 0);
  return canvas;
}

/** Crop `i` as a page would show it: enlarged to `side` pixels, with a margin of so many sides of grey around it. */
function shown(i, { side, margin }) {
  const [inner, edge] = [side, Math.round(side * margin)];
  const canvas = canvasOf(inner + 2 * edge, inner + 2 * edge);
  const pen = penOf(canvas);
  pen.fillStyle = "#808080";
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.imageSmoothingQuality = "high";
  pen.drawImage(cropOf(i), edge, edge, inner, inner);
  return canvas;
}

/** The answers for crops `from` to `to`: `way` is "network", or "whole" with a framing. */
export async function answers(way, from, to, framing) {
  if (!faces) await read();
  const out = [];
  for (let i = from; i < to; i++) out.push(await library[way](way === "network" ? cropOf(i) : shown(i, framing)));
  return { answers: out, labels: [...labels.subarray(from, to)] };
}

Object.assign(window, { bench: { first, asked, play, answers } });
