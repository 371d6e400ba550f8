/* Who is who from frame to frame, and answers smoothed over time: what mien/video/tracking.py and smoothing.py do, by the
   rules that the server sends (mien/video/rules.py). A test holds the two equal; change them together.
   Leaves out: recognising anybody who comes back. */

export class Tracks {
  /** `labels` in the model's order, `rules` as the server's /v1/model has them under `following`. */
  constructor(labels, rules) {
    this.labels = labels;
    this.rules = rules;
    this.known = [];
    this.last = 0; // number given
  }

  /**
   * The faces of the frame at `time` (seconds), each with `number` (null for a weak one that was seen only once), `raw`
   * (probabilities as they came, in the order of the labels) and `smooth`; its label, confidence and prediction_set are
   * the smoothed ones. A face that is not usable leaves the mean as it is.
   */
  follow(faces, time) {
    const { gap, max_gap, sure, hits } = this.rules;
    this.known = this.known.filter((t) => time - t.seen <= max_gap && (t.misses <= 2 || time - t.seen <= gap));
    const found = this.match(faces, time);
    faces.forEach((face, i) => {
      if (found[i]) this.meet(found[i], face.box, time);
      else this.known.push((found[i] = { number: null, box: face.box, seen: time, hits: 1, misses: 0, speed: [0, 0, 0], mean: null }));
      if (found[i].number === null && (face.score >= sure || found[i].hits >= hits)) found[i].number = ++this.last;
    });
    for (const track of this.known) if (!found.includes(track)) track.misses++;
    this.known = this.known.filter((track) => track.number !== null || !track.misses);
    return faces.map((face, i) => this.smoothed(found[i], face, time));
  }

  /** Whether a face may still come back under this number. */
  alive(number) {
    return this.known.some((track) => track.number === number);
  }

  /** The track of each face, the best pairs first; undefined for one that nobody expects. */
  match(faces, time) {
    const expected = this.known.map((track) => this.expected(track, time));
    const pairs = faces.flatMap((face, i) => expected.map((place, j) => [this.likeness(face.box, place), i, j]));
    const found = new Array(faces.length).fill(undefined);
    for (const [, i, j] of pairs.filter(([like]) => like > 0).sort((a, b) => b[0] - a[0] || a[1] - b[1] || a[2] - b[2])) {
      if (!found[i] && !found.includes(this.known[j])) found[i] = this.known[j];
    }
    return found;
  }

  /** How well a box fits the place where a face is expected: 1 to 2 where they overlap, less where they are near. */
  likeness(box, place) {
    const { overlap, reach, growth } = this.rules;
    const shared = iou(box, place);
    if (shared >= overlap) return 1 + shared;
    const [[ax, ay, aSide], [bx, by, bSide]] = [middle(box), middle(place)];
    if (Math.abs(aSide - bSide) > Math.log(growth)) return 0;
    return Math.max(0, 1 - Math.hypot(ax - bx, ay - by) / (reach * Math.exp((aSide + bSide) / 2)));
  }

  /** Where a face should be: it moves on at its last speed, ever more slowly. */
  expected({ box, seen, speed: [vx, vy, grow] }, time) {
    const { coast } = this.rules;
    const ahead = coast * (1 - Math.exp(-Math.max(0, time - seen) / coast));
    const factor = Math.exp(Math.max(-1, Math.min(1, grow * ahead))) / 2;
    const [wide, high] = [(box[2] - box[0]) * factor, (box[3] - box[1]) * factor];
    const [x, y] = [(box[0] + box[2]) / 2 + vx * ahead, (box[1] + box[3]) / 2 + vy * ahead];
    return [x - wide, y - high, x + wide, y + high];
  }

  /** A face was seen at `box`. */
  meet(track, box, time) {
    const { least_step, speed_time } = this.rules;
    const step = time - track.seen;
    if (step > 0) {
      const weight = track.hits > 1 ? 1 - Math.exp(-step / speed_time) : 1;
      const [fresh, old] = [middle(box), middle(track.box)];
      track.speed = track.speed.map((v, k) => v + weight * ((fresh[k] - old[k]) / Math.max(step, least_step) - v));
    }
    Object.assign(track, { box, seen: time, hits: track.hits + 1, misses: 0 });
  }

  smoothed(track, face, time) {
    const raw = this.labels.map((name) => face.probabilities[name]);
    const smooth = this.mean(track, raw, face.usable, time);
    const known = smooth !== raw;
    const order = smooth.map((_, i) => i).sort((a, b) => smooth[b] - smooth[a] || a - b);
    const prediction_set = known ? this.possible(smooth, order) : face.prediction_set;
    return {
      ...face, number: track.number, raw, smooth: [...smooth], rawLabel: face.label,
      label: this.labels[order[0]], confidence: smooth[order[0]], prediction_set, uncertain: prediction_set.length > 1,
      probabilities: Object.fromEntries(this.labels.map((name, i) => [name, smooth[i]])),
    };
  }

  /** The mean of a face's probabilities up to now, `raw` itself for a face without one. */
  mean(track, raw, usable, time) {
    if (track.number === null) return raw;
    if (usable) {
      const pace = track.mean && this.rules.smooth > 0 ? 1 - Math.exp(-Math.max(0, time - track.since) / this.rules.smooth) : 1;
      track.mean = raw.map((p, i) => (track.mean?.[i] ?? p) + (p - (track.mean?.[i] ?? p)) * pace);
      track.since = time;
    }
    return (usable || this.rules.smooth > 0) && track.mean ? track.mean : raw;
  }

  /** The labels that a face may have: all that reach the model's threshold, or the first that reach a share together. */
  possible(smooth, order) {
    const { set_threshold, set_share } = this.rules;
    let [together, count] = [0, 0];
    if (set_threshold !== null) count = Math.max(1, order.filter((i) => smooth[i] >= set_threshold).length);
    else while (count < order.length && together < set_share - 1e-6) together += smooth[order[count++]];
    return order.slice(0, count).map((i) => this.labels[i]);
  }
}

/** Intersection of two boxes [left, top, right, bottom] over their union. */
function iou(a, b) {
  const wide = Math.min(a[2], b[2]) - Math.max(a[0], b[0]);
  const high = Math.min(a[3], b[3]) - Math.max(a[1], b[1]);
  if (wide <= 0 || high <= 0) return 0;
  const area = (box) => (box[2] - box[0]) * (box[3] - box[1]);
  return (wide * high) / (area(a) + area(b) - wide * high);
}

/** Centre x and y of a box, and the log of its side. */
function middle(box) {
  const area = Math.max(1e-6, (box[2] - box[0]) * (box[3] - box[1]));
  return [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2, 0.5 * Math.log(area)];
}
