/* Where in a picture to look for faces, and how large: `mien/runtime/search.py`, in the browser. A test holds the two equal;
   change them together. Leaves out: the network (detector.ts), the geometry of a look (views.ts), and standing heads upright (upright.ts). */

import { part, round } from "./resample.js";
import type { Box, Detection, Pixels } from "./types.js";
import { foundTurned } from "./upright.js";
import { type Looker, merged, placed, quarterBack, quarterTurned, shrunk, sure } from "./views.js";

/** Long side in pixels of the first look. */
export const FIRST = 480;
/** Long side at which a whole picture is looked at again where nothing is found, and at most a video's frame. */
export const FULL = 640;

const ENLARGED = 4;
const CLOSEST = 1.125;
const [WHOLE, WHOLE_PIXELS] = [0.7, 4.6e6];
const TRIES = 4;
const HINT = 20;
const [WEAK, HINTED] = [32, 0.1];
const PAYS = 1.25;
const [TILE, WINDOW, EDGE] = [1280, 640, 128];
const SMALL = 256;
const MARGIN = 0.25;

/** The faces of a picture, the surest first. `size`: the long side to which it is brought; null chooses by the picture,
    up to a long side of `most`. Python's scout is left out: here the fast network is the only one. */
export async function search(looker: Looker, image: Pixels, size: number | null, most: number | null = null): Promise<Detection[]> {
  const { width, height } = image;
  const ratio = size === null ? firstRatio(width, height) : Math.min(size / Math.max(width, height), ENLARGED);
  const weak = await looker.look(image, ratio);
  let found = sure(looker, weak);
  if (!found.length) found = await turned(looker, image, ratio, weak);
  if (size === null) found = await closer(looker, image, ratio, found, weak, most);
  return inside(merged(found), width, height);
}

function firstRatio(width: number, height: number): number {
  const [long, short] = [Math.max(width, height), Math.min(width, height)];
  return Math.min((FIRST * Math.max(1, Math.sqrt(long / short / 2))) / long, ENLARGED);
}

/** The faces of a picture that shows none as it stands; see `_turned` in Python. */
async function turned(looker: Looker, image: Pixels, ratio: number, weak: Detection[]): Promise<Detection[]> {
  const margin = await withMargin(looker, image, ratio / 2);
  if (sure(looker, margin).length) return sure(looker, margin);
  const [quarters, lying] = await byQuarters(looker, image, ratio);
  if (sure(looker, quarters).length) return sure(looker, quarters);
  if (Math.max(image.width, image.height) * ratio <= SMALL) return [];
  return foundTurned(looker, image, [...weak, ...margin, ...lying].filter((d) => sideOf(d) * ratio >= WEAK));
}

async function withMargin(looker: Looker, image: Pixels, ratio: number): Promise<Detection[]> {
  const { small, back } = shrunk(image, ratio / (1 + 2 * MARGIN));
  const [dx, dy] = [Math.trunc(small.width * MARGIN), Math.trunc(small.height * MARGIN)];
  const found = await looker.look(bordered(small, dx, dy), Math.max(1, ratio / (1 + 2 * MARGIN)));
  return found.map((d) => placed(placed(d, [1, 0, -dx, 0, 1, -dy]), back));
}

/** A picture with a grey margin around it. */
function bordered(image: Pixels, dx: number, dy: number): Pixels {
  const [width, height] = [image.width + 2 * dx, image.height + 2 * dy];
  const data = new Uint8ClampedArray(4 * width * height).fill(128);
  for (let y = 0; y < image.height; y++) {
    data.set(image.data.subarray(4 * y * image.width, 4 * (y + 1) * image.width), 4 * ((y + dy) * width + dx));
  }
  return { width, height, data };
}

/** The faces of a picture that lies on its side or on its head, and what half of its size hints at. */
async function byQuarters(looker: Looker, image: Pixels, ratio: number): Promise<[Detection[], Detection[]]> {
  const hints: Detection[] = [];
  let [best, quarters] = [0, 0];
  for (const k of [1, 2, 3]) {
    const seen = await quarter(looker, image, ratio / 2, k);
    const total = sure(looker, seen).reduce((sum, d) => sum + d.score, 0);
    if (total > best) [best, quarters] = [total, k];
    hints.push(...seen);
  }
  return [quarters ? await quarter(looker, image, ratio, quarters) : [], hints];
}

async function quarter(looker: Looker, image: Pixels, ratio: number, quarters: number): Promise<Detection[]> {
  const { small, back } = shrunk(image, ratio);
  const found = await looker.look(quarterTurned(small, quarters), Math.max(1, ratio));
  const turned = quarterBack(quarters, small.width, small.height);
  return found.map((d) => placed(placed(d, turned, 90 * quarters), back));
}

async function closer(
  looker: Looker, image: Pixels, first: number, seen: Detection[], hintsAt: Detection[], most: number | null,
): Promise<Detection[]> {
  const { width, height } = image;
  const long = Math.max(width, height);
  const closest = most === null ? CLOSEST : Math.min(CLOSEST, most / long);
  const limit = Math.min(closest, Math.max(Math.min(WHOLE, Math.sqrt(WHOLE_PIXELS / (width * height))), FULL / long));
  let [ratio, found, weak] = [first, seen, hintsAt];
  while (ratio * PAYS < closest) {
    const hints = weak.filter((d) => isHint(looker, d, ratio));
    if (!found.length && ratio * PAYS < limit) {
      ratio = 3 * ratio < limit ? 2 * ratio : limit;
      weak = await lookAt(looker, image, tiles(width, height, ratio), ratio);
    } else if (hints.length) {
      ratio = Math.min(2 * ratio, closest);
      const tried = found.length ? hints : hints.slice(0, TRIES);
      weak = await lookAt(looker, image, around(tried, width, height, ratio), ratio);
      if (tried.length < hints.length && sure(looker, weak).length) {
        weak = await lookAt(looker, image, around(hints, width, height, ratio), ratio);
      }
    } else break;
    found = merged([...found, ...sure(looker, weak)]);
  }
  return found;
}

/** Whether there may be more around a face than was seen. */
function isHint(looker: Looker, found: Detection, ratio: number): boolean {
  const side = ratio * sideOf(found);
  return found.score > looker.threshold ? side < HINT : found.score > HINTED && side < WEAK;
}

const sideOf = ({ box: [left, top, right, bottom] }: Detection) => Math.sqrt(Math.max(0, (right - left) * (bottom - top)));

async function lookAt(looker: Looker, image: Pixels, views: Box[], ratio: number): Promise<Detection[]> {
  const out: Detection[] = [];
  for (const [left, top, right, bottom] of views) {
    const inner = [left > 0, top > 0, right < image.width, bottom < image.height];
    for (const d of await looker.look(part(image, left, top, right, bottom), ratio)) {
      const [x0, y0, x1, y1] = d.box;
      const gaps = [x0, y0, right - left - x1, bottom - top - y1];
      if (!inner.some((cut, i) => cut && gaps[i] * ratio < 2)) out.push(placed(d, [1, 0, left, 0, 1, top]));
    }
  }
  return merged(out);
}

/** Views that cover the picture and share their edges. */
function tiles(width: number, height: number, ratio: number): Box[] {
  const [across, down] = [width, height].map((n) => spans(n, TILE / ratio, EDGE / ratio));
  return down.flatMap(([top, bottom]) => across.map(([left, right]): Box => [left, top, right, bottom]));
}

function spans(length: number, tile: number, shared: number): [number, number][] {
  const n = Math.max(1, Math.ceil((length - shared) / (tile - shared)));
  const side = Math.min(length, Math.ceil((length + (n - 1) * shared) / n));
  return Array.from({ length: n }, (_, i) => {
    const start = round((i * (length - side)) / Math.max(1, n - 1));
    return [start, start + side];
  });
}

/** Windows around hints, few of them; or the tiles of the picture, where those are cheaper. */
function around(hints: Detection[], width: number, height: number, ratio: number): Box[] {
  const [side, inner] = [WINDOW / ratio, EDGE / 2 / ratio];
  let centres = hints.map(({ box }) => [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2]);
  const views: Box[] = [];
  while (centres.length) {
    const [[x, y], ...others] = centres;
    const [left, right] = spanAround(x, side, width);
    const [top, bottom] = spanAround(y, side, height);
    views.push([left, top, right, bottom]);
    const low = [left + (left > 0 ? inner : 0), top + (top > 0 ? inner : 0)];
    const high = [right - (right < width ? inner : 0), bottom - (bottom < height ? inner : 0)];
    centres = others.filter((c) => c[0] < low[0] || c[1] < low[1] || c[0] > high[0] || c[1] > high[1]);
  }
  const cover = tiles(width, height, ratio);
  return area(cover) <= area(views) ? cover : views;
}

function spanAround(centre: number, side: number, length: number): [number, number] {
  const start = Math.trunc(Math.min(Math.max(0, centre - side / 2), Math.max(0, length - side)));
  return [start, Math.min(length, start + Math.ceil(side))];
}

const area = (views: Box[]) => views.reduce((sum, [left, top, right, bottom]) => sum + (right - left) * (bottom - top), 0);

/** Boxes cut at the picture's edge, scores within 0..1; what has no area left is dropped. */
function inside(found: Detection[], width: number, height: number): Detection[] {
  const within = (v: number, most: number) => Math.min(Math.max(v, 0), most);
  return found
    .map((d): Detection => {
      const [left, top, right, bottom] = d.box;
      const box: Box = [within(left, width), within(top, height), within(right, width), within(bottom, height)];
      return { ...d, box, score: within(d.score, 1) };
    })
    .filter(({ box: [left, top, right, bottom] }) => right - left >= 1 && bottom - top >= 1)
    .sort((a, b) => b.score - a.score);
}
