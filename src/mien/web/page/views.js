/* The small pictures of a face, drawn here out of what the network saw: the crop, where it looked, what decided. The server
   draws its own (mien/visualization/face_card.py). Leaves out: where they stand on the page (faces.js). */

import { el } from "./dom.js";

const SIDE = 168; // pixels of a picture
const SHARE = 0.75; // of colour at the hottest place
const [PAPER, ROOM, AMBER] = ["rgb(250 250 250 / 0.6)", "rgb(224 226 228)", "rgb(255 200 46)"];
// from cold to hot, as matplotlib's inferno has them at every eighth
const HEAT = [[0, 0, 4], [33, 12, 74], [87, 16, 110], [138, 34, 106], [188, 55, 84], [227, 89, 51], [249, 142, 9], [249, 203, 53], [252, 255, 164]];

/** The crop in its own pixels, as a data address. */
export function cropView(crop) {
  return painted(crop.size, crop.size, (pen) => pen.putImageData(pixels(crop.size, crop.size, pixelsOf(crop)), 0, 0));
}

/** Pixel i of a crop: grey, or of three channels one after the other. */
function pixelsOf({ size, data }) {
  const step = data.length > size * size ? size * size : 0;
  return (i) => [data[i], data[i + step], data[i + 2 * step], 255];
}

/** The crop with the network's window outlined, and in it the attention; over the whole crop for one without a window. */
export function lookedView({ crop, attention, theta }) {
  const edge = theta ? SIDE / 8 : 0;
  const inner = SIDE - 2 * edge;
  return painted(SIDE, SIDE, (pen) => {
    pen.fillStyle = ROOM;
    pen.fillRect(0, 0, SIDE, SIDE);
    pen.imageSmoothingEnabled = false;
    pen.drawImage(sheet(crop.size, crop.size, pixelsOf(crop)), edge, edge, inner, inner);
    const outline = corners(theta).map(([x, y]) => [edge + ((x + 1) / 2) * inner, edge + ((y + 1) / 2) * inner]);
    heatInto(pen, attention, outline);
    if (theta) around(pen, outline);
  });
}

/** The crop with the heat of its occlusion map: the warmer, the more of the answer is lost when that part is covered. */
export function decidedView({ crop, decided }) {
  return painted(SIDE, SIDE, (pen) => {
    pen.drawImage(sheet(crop.size, crop.size, pixelsOf(crop)), 0, 0, SIDE, SIDE);
    heatInto(pen, decided, [[0, 0], [SIDE, 0], [SIDE, SIDE], [0, SIDE]]);
  });
}

/** Lay a map into the window with these corners. */
function heatInto(pen, { width, height, data }, [a, b, , d]) {
  const top = Math.max(...data);
  if (!(top > 0)) return;
  const warm = sheet(width, height, (i) => {
    const share = Math.max(0, data[i] / top);
    return [...colour(share), 255 * SHARE * share];
  });
  pen.save();
  pen.imageSmoothingEnabled = true;
  pen.imageSmoothingQuality = "high";
  pen.transform((b[0] - a[0]) / width, (b[1] - a[1]) / width, (d[0] - a[0]) / height, (d[1] - a[1]) / height, a[0], a[1]);
  pen.drawImage(warm, 0, 0);
  pen.restore();
}

/** Pale what lies outside of the window, and draw its edge. */
function around(pen, outline) {
  const path = new Path2D();
  outline.forEach(([x, y], i) => (i ? path.lineTo(x, y) : path.moveTo(x, y)));
  path.closePath();
  const outside = new Path2D(path);
  outside.rect(0, 0, SIDE, SIDE);
  pen.fillStyle = PAPER;
  pen.fill(outside, "evenodd");
  pen.strokeStyle = AMBER;
  pen.lineWidth = 2;
  pen.stroke(path);
}

/** The window's corners, -1..1 of the crop: top left, top right, bottom right, bottom left. */
function corners(theta) {
  const [a, b, c, d, e, f] = theta ?? [1, 0, 0, 0, 1, 0];
  return [[-1, -1], [1, -1], [1, 1], [-1, 1]].map(([x, y]) => [a * x + b * y + c, d * x + e * y + f]);
}

function colour(share) {
  const at = Math.min(share * (HEAT.length - 1), HEAT.length - 1.001);
  const [low, high] = [HEAT[Math.floor(at)], HEAT[Math.floor(at) + 1]];
  return low.map((v, k) => v + (high[k] - v) * (at % 1));
}

function pixels(width, height, of) {
  const image = new ImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    const [r, g, b, a = 255] = of(i);
    image.data.set([r, g, b, a], 4 * i);
  }
  return image;
}

/** A canvas with these pixels. */
function sheet(width, height, of) {
  const canvas = el("canvas", { width, height });
  canvas.getContext("2d").putImageData(pixels(width, height, of), 0, 0);
  return canvas;
}

function painted(width, height, paint) {
  const canvas = el("canvas", { width, height });
  paint(canvas.getContext("2d"));
  return canvas.toDataURL("image/png");
}
