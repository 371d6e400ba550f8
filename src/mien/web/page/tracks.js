/* Who is who from frame to frame, and answers smoothed over time.
   A face keeps its number while its box stays near and of a like size. Leaves out: recognising anybody who comes back. */

const REACH = 0.9; // box sides that a face may move from one answer to the next
const GROWTH = 2; // by which its side may grow or shrink
const PATIENCE = 1; // seconds for which a face may be missed
const SLOW = 10; // seconds between two answers, up to which a face of the first may be one of the second
const CALM = 0.3; // seconds, time constant of the smoothing

export class Tracks {
  constructor(labels) {
    this.labels = labels;
    this.known = [];
    this.last = 0; // number given
    this.before = null; // time of the frame before
  }

  /**
   * The faces of the frame at `time` (seconds), each with `number`, `raw` (probabilities as they came, in the order of
   * the labels) and `smooth`; its label, confidence and prediction_set are the smoothed ones.
   */
  follow(faces, time) {
    const patience = (track) => (track.time === this.before ? SLOW : PATIENCE);
    this.known = this.known.filter((track) => time - track.time <= patience(track));
    this.before = time;
    const taken = new Map();
    for (const [track, face] of this.pairs(faces)) {
      if ([...taken.values()].includes(track) || taken.has(face)) continue;
      taken.set(face, track);
    }
    return faces.map((face) => this.advance(taken.get(face) ?? this.start(), face, time));
  }

  /** Whether a face may still come back under this number. */
  alive(number) {
    return this.known.some((track) => track.number === number);
  }

  /** Tracks and faces that may belong together, the nearest first. */
  pairs(faces) {
    return this.known
      .flatMap((track) => faces.map((face) => [track, face, distance(track.box, face.box)]))
      .filter(([, , far]) => far <= REACH)
      .sort((a, b) => a[2] - b[2]);
  }

  start() {
    const track = { number: ++this.last, smooth: null, maybe: null, time: 0, box: null };
    this.known.push(track);
    return track;
  }

  advance(track, face, time) {
    const raw = this.labels.map((name) => face.probabilities[name]);
    const maybe = this.labels.map((name) => Number(face.prediction_set.includes(name)));
    const pace = track.smooth ? 1 - Math.exp(-(time - track.time) / CALM) : 1;
    track.smooth = raw.map((p, i) => blend(track.smooth?.[i] ?? p, p, pace));
    track.maybe = maybe.map((m, i) => blend(track.maybe?.[i] ?? m, m, pace));
    Object.assign(track, { time, box: face.box });
    const best = track.smooth.indexOf(Math.max(...track.smooth));
    const prediction_set = this.labels.filter((_, i) => i === best || track.maybe[i] >= 0.5);
    return {
      ...face, number: track.number, raw, smooth: [...track.smooth],
      label: this.labels[best], confidence: track.smooth[best], prediction_set, uncertain: prediction_set.length > 1,
      rawLabel: face.label, probabilities: Object.fromEntries(this.labels.map((name, i) => [name, track.smooth[i]])),
    };
  }
}

const blend = (old, fresh, pace) => old + (fresh - old) * pace;

/** Between the middles of two boxes [left, top, right, bottom], in mean sides; infinite where their sizes differ much. */
function distance(a, b) {
  const side = (box) => Math.sqrt((box[2] - box[0]) * (box[3] - box[1]));
  const [small, large] = [side(a), side(b)].sort((x, y) => x - y);
  if (!(large <= GROWTH * small)) return Infinity;
  return Math.hypot(a[0] + a[2] - b[0] - b[2], a[1] + a[3] - b[1] - b[3]) / (small + large);
}
