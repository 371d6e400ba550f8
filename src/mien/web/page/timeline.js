/* The webcam's history: what each face showed when, kept in memory, drawn as bands over the last minute, saved as CSV.
   Leaves out: where the answers come from (webcam.js). */

import { csv } from "./dom.js";

const LIMIT = 60_000; // rows; with one face at 20 frames a second that is 50 minutes, about 30 MB
const WINDOW = 60; // seconds on show
const GAP = 1.5; // seconds without an answer that leave a hole in the bands, more where answers are slow

const rounded = (value, digits) => Number(value.toFixed(digits)); // a number: text with a minus would be marked as text

export class Timeline {
  constructor(canvas, labels) {
    this.canvas = canvas;
    this.labels = labels;
    this.rows = [];
    this.end = 0; // seconds, right edge of the picture
    new ResizeObserver(() => this.draw()).observe(canvas);
  }

  static limit = LIMIT;

  /** Keep the faces of one frame, as tracks.js gives them; the oldest rows go when it is full. */
  push(time, faces) {
    const area = ({ box }) => (box[2] - box[0]) * (box[3] - box[1]);
    const usable = faces.filter((f) => f.usable);
    const largest = Math.max(...(usable.length ? usable : faces).map(area));
    for (const f of faces) {
      this.rows.push({ time, number: f.number, label: f.rawLabel, raw: f.raw, smooth: f.smooth, box: f.box,
        usable: f.usable, largest: area(f) === largest && f.usable === Boolean(usable.length) });
    }
    if (this.rows.length > LIMIT) this.rows.splice(0, this.rows.length - LIMIT + LIMIT / 100);
    this.end = time;
  }

  clear() {
    this.rows = [];
    this.draw();
  }

  /** The numbers of faces seen in the last minute. */
  numbers() {
    return [...new Set(this.recent((row) => row.number !== null).map((row) => row.number))].sort((a, b) => a - b);
  }

  /** Rows of the last minute of one face, or of the largest one in each frame (null). */
  of(number) {
    return this.recent((row) => (number === null ? row.largest : row.number === number));
  }

  recent(wanted) {
    let from = this.rows.length;
    while (from > 0 && this.rows[from - 1].time >= this.end - WINDOW) from--;
    return this.rows.slice(from).filter(wanted);
  }

  /** Mean smoothed probabilities over the last minute, in the order of the labels; null without rows. */
  means(number) {
    const rows = this.of(number);
    return rows.length ? this.labels.map((_, i) => rows.reduce((sum, row) => sum + row.smooth[i], 0) / rows.length) : null;
  }

  /** Everything kept, as it came from the network: not smoothed. Time in seconds, boxes in pixels of the sent frame. */
  csv() {
    const head = ["time", "face", "label", ...this.labels, "left", "top", "right", "bottom", "usable"];
    return csv([head, ...this.rows.map((row) => [rounded(row.time, 3), row.number ?? "", row.label,
      ...row.raw.map((p) => rounded(p, 6)), ...row.box.map((v) => rounded(v, 1)), Number(row.usable)])]);
  }

  /** Draw the bands of `number` (null: the largest face), which stays chosen until another is given. */
  draw(number = this.number ?? null) {
    this.number = number;
    const paint = this.paper();
    if (!paint) return;
    this.grid(paint);
    for (const piece of pieces(this.of(number))) this.bands(paint, piece);
  }

  /** The canvas, cleared and at the screen's resolution; null while it is not on show. */
  paper() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    if (!width || !height) return null;
    const scale = devicePixelRatio || 1;
    const [w, h] = [Math.round(width * scale), Math.round(height * scale)];
    if (this.canvas.width !== w || this.canvas.height !== h) Object.assign(this.canvas, { width: w, height: h });
    const pen = this.canvas.getContext("2d");
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.clearRect(0, 0, width, height);
    const [left, right, top, bottom] = [42, width - 1, 8, height - 24];
    const x = (time) => right - ((this.end - time) / WINDOW) * (right - left);
    const y = (share) => bottom - share * (bottom - top);
    return { pen, left, right, top, bottom, x, y, look: getComputedStyle(this.canvas) };
  }

  grid({ pen, left, right, bottom, x, y, look }) {
    pen.strokeStyle = look.borderTopColor;
    pen.fillStyle = look.color;
    pen.font = `12px ${look.fontFamily}`;
    pen.lineWidth = 1;
    pen.textAlign = "right";
    pen.textBaseline = "middle";
    for (const share of [0, 0.5, 1]) {
      pen.beginPath();
      pen.moveTo(left, Math.round(y(share)) + 0.5);
      pen.lineTo(right, Math.round(y(share)) + 0.5);
      pen.stroke();
      pen.fillText(`${100 * share} %`, left - 6, y(share));
    }
    pen.textBaseline = "alphabetic";
    for (const back of [60, 40, 20, 0]) {
      pen.textAlign = back === 60 ? "left" : back === 0 ? "right" : "center";
      pen.fillText(back ? `${back} s ago` : "now", x(this.end - back), bottom + 18);
    }
  }

  /** Stacked bands of one unbroken piece, parted by thin lines so that colour is not all that tells them apart. */
  bands({ pen, left, x, y, look }, piece) {
    const root = getComputedStyle(document.documentElement);
    const below = new Array(piece.length).fill(0);
    pen.save();
    pen.beginPath();
    pen.rect(left, 0, 1e5, 1e5);
    pen.clip();
    pen.lineWidth = 0.8;
    pen.strokeStyle = look.backgroundColor;
    this.labels.forEach((_, i) => {
      pen.beginPath();
      piece.forEach((row, k) => pen.lineTo(x(row.time), y(below[k])));
      for (let k = piece.length - 1; k >= 0; k--) pen.lineTo(x(piece[k].time), y((below[k] += piece[k].smooth[i])));
      pen.fillStyle = root.getPropertyValue(`--label-${i}`);
      pen.fill();
      pen.beginPath();
      piece.forEach((row, k) => pen.lineTo(x(row.time), y(below[k])));
      pen.stroke();
    });
    pen.restore();
  }
}

/** Rows -> runs without a hole. */
function pieces(rows) {
  const steps = rows.slice(1).map((row, i) => row.time - rows[i].time);
  const usual = [...steps].sort((a, b) => a - b)[steps.length >> 1] ?? 0;
  const out = [];
  rows.forEach((row, i) => (i && steps[i - 1] <= Math.max(GAP, 3 * usual) ? out.at(-1).push(row) : out.push([row])));
  return out.filter((piece) => piece.length > 1);
}
