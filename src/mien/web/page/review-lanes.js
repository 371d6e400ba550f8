/* The review's timeline: a lane for each person with the segments and, below them, the probabilities; events across.
   The drawing stays as it is while the film plays: only the line of the present moves over it.
   Leaves out: what a click or key does (review.js). */

import { inkOn } from "./dom.js";
import { lastUpTo } from "./review-data.js";

const [LANE, BAND, GUTTER, EVENTS, FOOT] = [58, 20, 74, 20, 22]; // CSS pixels

export class Lanes {
  constructor({ frame, canvas, head, chosen }) {
    Object.assign(this, { frame, canvas, head, chosen });
    this.from = 0;
    this.to = 1;
    new ResizeObserver(() => this.draw()).observe(frame);
  }

  /** Show `recording`, all of it at first. */
  set(recording) {
    if (!this.recording) [this.from, this.to] = [0, Math.max(0.1, recording.state.video.end)];
    this.recording = recording;
    this.draw();
  }

  get whole() {
    return Math.max(0.1, this.recording.state.video.end);
  }

  /** Zoom by `factor` around `time`; 0 shows all. */
  zoom(factor, time) {
    const wide = factor ? Math.min(this.whole, Math.max(0.5, (this.to - this.from) / factor)) : this.whole;
    const share = (time - this.from) / (this.to - this.from);
    this.show(time - wide * Math.min(1, Math.max(0, share)), wide);
  }

  /** Show from `start` on, `wide` seconds. */
  show(start, wide = this.to - this.from) {
    this.from = Math.min(Math.max(0, start), Math.max(0, this.whole - wide));
    this.to = this.from + wide;
    this.draw();
  }

  /** Put the line of the present at `time`, and what is chosen from `from` to `to`; turns the page where it must. */
  place(time, from, to) {
    if (!this.recording) return;
    if (time < this.from || time > this.to) this.show(time - 0.1 * (this.to - this.from));
    Object.assign(this.head.style, { left: `${this.x(time)}px`, height: `${this.high}px` });
    const some = to > from && to > this.from && from < this.to;
    this.chosen.hidden = !some;
    if (!some) return;
    const [a, b] = [this.x(Math.max(from, this.from)), this.x(Math.min(to, this.to))];
    Object.assign(this.chosen.style, { left: `${a}px`, width: `${Math.max(2, b - a)}px`, height: `${this.high}px` });
  }

  get gutter() {
    return this.frame.clientWidth < 520 ? 30 : GUTTER;
  }

  x(time) {
    const wide = this.frame.clientWidth - this.gutter - 2;
    return this.gutter + ((time - this.from) / (this.to - this.from)) * wide;
  }

  /** The time under the horizontal position `x` in CSS pixels of the frame. */
  time(x) {
    const wide = this.frame.clientWidth - this.gutter - 2;
    return Math.min(this.whole, Math.max(0, this.from + ((x - this.gutter) / wide) * (this.to - this.from)));
  }

  /** The person whose lane is at the vertical position `y` of the drawing. */
  person(y) {
    return [...(this.recording?.of.keys() ?? [])][Math.floor(y / LANE)];
  }

  draw() {
    const { recording, canvas, frame } = this;
    if (!recording || !frame.clientWidth) return;
    const persons = [...recording.of.keys()];
    const [width, scale] = [frame.clientWidth, devicePixelRatio || 1];
    this.below = Math.max(1, persons.length) * LANE; // where events are written, and seconds below them
    this.bottom = this.below + (recording.state.events.length ? EVENTS : 0);
    this.high = this.bottom + FOOT;
    Object.assign(canvas, { width: Math.round(width * scale), height: Math.round(this.high * scale) });
    canvas.style.height = `${this.high}px`;
    const pen = canvas.getContext("2d");
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    this.look = getComputedStyle(canvas);
    pen.font = `12px ${this.look.fontFamily}`;
    pen.textBaseline = "middle";
    this.seconds(pen);
    persons.forEach((number, k) => this.lane(pen, number, k * LANE));
    this.events(pen);
    this.placed?.();
  }

  lane(pen, number, top) {
    const { recording } = this;
    pen.fillStyle = this.look.color;
    pen.textAlign = "left";
    pen.fillText(this.gutter < GUTTER ? String(number) : `person ${number}`, 4, top + 4 + BAND / 2);
    pen.save();
    pen.beginPath();
    pen.rect(this.gutter, top, 1e5, LANE);
    pen.clip();
    for (const s of recording.state.segments) {
      if (s.track !== number || s.end < this.from || s.start > this.to) continue;
      const [a, b, colour] = [this.x(s.start), this.x(s.end), recording.state.colours[s.label]];
      pen.fillStyle = colour;
      pen.fillRect(a, top + 4, Math.max(1, b - a - 1), BAND);
      if (b - a > 20 && pen.measureText(s.label).width < b - a - 8) {
        pen.fillStyle = inkOn(colour);
        pen.fillText(s.label, a + 4, top + 4 + BAND / 2 + 1);
      }
    }
    this.chances(pen, number, top + BAND + 8, LANE - BAND - 14);
    pen.restore();
  }

  /** Stacked probabilities, a column a pixel; pale where the face is not to be counted. */
  chances(pen, number, top, high) {
    const { recording } = this;
    const [when, mine] = [recording.when.get(number), recording.of.get(number)];
    const paints = recording.state.labels.map((label) => recording.state.colours[label]);
    for (let x = this.gutter; x < this.frame.clientWidth - 1; x++) {
      const at = lastUpTo(when, this.time(x + 0.5));
      if (at < 0 || recording.frame(when[at]).end <= this.time(x + 0.5)) continue;
      const i = mine[at];
      pen.globalAlpha = recording.usable(i) ? 1 : 0.25;
      let below = top + high;
      recording.chances(i).forEach((p, k) => {
        pen.fillStyle = paints[k];
        pen.fillRect(x, below - p * high, 1, p * high);
        below -= p * high;
      });
      if (recording.byHand(i)) {
        pen.globalAlpha = 1;
        pen.fillStyle = this.look.color;
        pen.fillRect(x, top - 3, 1, 2); // set by hand
      }
    }
    pen.globalAlpha = 1;
  }

  /** Lines of the time from top to bottom, with their seconds. */
  seconds(pen) {
    const wide = this.to - this.from;
    const steps = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600];
    const step = steps.find((s) => (wide / s) * 64 < this.frame.clientWidth - this.gutter) ?? 7200;
    pen.fillStyle = this.look.color;
    pen.strokeStyle = this.look.borderTopColor;
    pen.textAlign = "center";
    for (let k = Math.ceil(this.from / step); k * step <= this.to + 1e-9; k++) {
      const x = this.x(k * step);
      line(pen, Math.round(x) + 0.5, this.bottom + 4);
      const words = clock(k * step, step < 1 ? 1 : 0);
      pen.fillText(words, Math.min(Math.max(x, this.gutter), this.frame.clientWidth - 20), this.bottom + 13);
    }
  }

  /** Events from top to bottom, with their names below the lanes. */
  events(pen) {
    pen.textAlign = "left";
    pen.fillStyle = pen.strokeStyle = this.look.color;
    for (const event of this.recording.state.events) {
      const x = this.x(event.start);
      if (x < this.gutter || x > this.frame.clientWidth) continue;
      pen.setLineDash([3, 3]);
      line(pen, x, this.bottom);
      pen.setLineDash([]);
      const words = event.name.slice(0, 24);
      pen.fillText(words, Math.min(x + 4, this.frame.clientWidth - pen.measureText(words).width - 2), this.below + EVENTS / 2);
    }
  }
}

function line(pen, x, to) {
  pen.beginPath();
  pen.moveTo(x, 0);
  pen.lineTo(x, to);
  pen.stroke();
}

/** 75.3 -> "1:15.3". */
export function clock(seconds, digits = 2) {
  const rounded = Number(seconds.toFixed(digits)); // first, or 119.999 would be 1:60.00
  const whole = Math.floor(rounded / 60);
  const rest = (rounded - 60 * whole).toFixed(digits);
  return whole ? `${whole}:${rest.padStart(digits ? digits + 3 : 2, "0")}` : `${rest} s`;
}
