/* A recording under review as the page has it: faces that never change, and the state that corrections make of them.
   Leaves out: asking the server (review.js) and drawing (review-lanes.js). */

const [USABLE, BY_HAND, EXCLUDED] = [1, 2, 4];

/** Index of the last of rising `values` that is at most `x`; -1 where none is. */
export function lastUpTo(values, x) {
  let [low, high] = [0, values.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] <= x) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

export class Recording {
  /** `buffer` as /v1/review/faces gives it. */
  constructor(buffer) {
    const [faces, labels, frames] = new Int32Array(buffer, 0, 3);
    this.width = 5 + labels;
    this.rows = new Float32Array(buffer, 12, faces * this.width);
    this.times = new Float32Array(buffer, 12 + 4 * faces * this.width, frames);
    this.count = faces;
  }

  /** Take over what /v1/review says. */
  set(state) {
    this.state = state;
    this.person = unrolled(state.faces.person, this.count);
    this.label = unrolled(state.faces.label, this.count);
    this.flags = unrolled(state.faces.flags, this.count);
    this.of = new Map(state.persons.map(({ number }) => [number, []]));
    for (let i = 0; i < this.count; i++) this.of.get(this.person[i])?.push(i);
    for (const mine of this.of.values()) mine.sort((a, b) => this.time(a) - this.time(b));
    this.when = new Map([...this.of].map(([number, mine]) => [number, Float32Array.from(mine, (i) => this.time(i))]));
    this.first = this.times[0] ?? 0;
  }

  time = (i) => this.rows[i * this.width];
  box = (i) => [...this.rows.subarray(i * this.width + 1, i * this.width + 5)];
  chances = (i) => this.rows.subarray(i * this.width + 5, (i + 1) * this.width);
  usable = (i) => (this.flags[i] & (USABLE | EXCLUDED)) === USABLE;
  byHand = (i) => (this.flags[i] & BY_HAND) !== 0;

  /** Number of the frame on show at `time`, and when it begins and ends. */
  frame(time) {
    const at = Math.max(0, lastUpTo(this.times, time + 1e-4));
    return { at, start: this.times[at] ?? 0, end: this.times[at + 1] ?? this.state.video.end };
  }

  /** The person's face in the frame that begins at `start`; undefined where there is none. */
  face(number, start) {
    const at = lastUpTo(this.when.get(number) ?? [], start + 1e-4);
    const i = at < 0 ? undefined : this.of.get(number)[at];
    return i !== undefined && Math.abs(this.time(i) - start) < 2e-4 * Math.max(1, start / 1000) ? i : undefined;
  }

  /** All faces of a frame as `drawBoxes` wants them. */
  faces(start) {
    return [...this.of.keys()].flatMap((number) => {
      const i = this.face(number, start);
      if (i === undefined) return [];
      return [{ i, number, label: this.state.labels[this.label[i]] ?? "", usable: this.usable(i), uncertain: false, box: this.box(i) }];
    });
  }

  /** The person's segment at `time`; undefined where there is none. */
  segment = (number, time) => this.state.segments.find((s) => s.track === number && s.start <= time + 1e-3 && time + 1e-3 < s.end);
}

function unrolled(runs, count) {
  const out = new Int32Array(count);
  let at = 0;
  for (const [n, value] of runs) out.fill(value, at, (at += n));
  return out;
}
