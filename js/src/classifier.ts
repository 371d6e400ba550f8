/* From cropped faces to probabilities: one network with its spec. `mien/runtime/classifier.py`, in the browser; the
   model's file is the same. Leaves out: finding and cropping faces. */

import { shown } from "./options.js";
import type { Session } from "./session.js";
import { type Crop, type Grid, type Head, MienError, type Spec } from "./types.js";

const BATCH = 64; // faces in one run: bounds memory

/** What a network says about one face. */
export interface Answer {
  probabilities: number[];
  heads: Record<string, Record<string, number>>;
  theta: Float32Array | null;
  attention: Grid | null;
}

export class Classifier {
  private readonly answer: string;
  private readonly heads: Head[];
  private readonly names: string[];

  /** `labels` names the head that answers; without, the file's default answer does. */
  constructor(
    private readonly session: Session,
    readonly spec: Spec,
    labels?: string,
  ) {
    this.heads = spec.heads;
    this.answer = "logits";
    if (labels !== undefined) {
      const head = headOf(spec, labels);
      const { temperature, threshold } = head;
      this.spec = { ...spec, name: `${spec.name}:${head.name}`, labels: head.labels, temperature, threshold, heads: [] };
      this.answer = head.output;
    }
    const needed = [this.answer, ...this.heads.map((h) => h.output)];
    const lacking = needed.filter((name) => !session.outputs.includes(name));
    if (lacking.length) throw new MienError(`the model ${spec.name} has no output ${lacking.join(", ")}; export it again`);
    this.names = [...new Set([...needed, ...["theta", "attention"].filter((name) => session.outputs.includes(name))])];
  }

  async classify(crops: readonly Crop[]): Promise<Answer[]> {
    const out: Answer[] = [];
    for (let i = 0; i < crops.length; i += BATCH) out.push(...(await this.run(crops.slice(i, i + BATCH))));
    return out;
  }

  private async run(crops: readonly Crop[]): Promise<Answer[]> {
    const { size, mean, std, temperature } = this.spec;
    const [plane, channels] = [size * size, this.spec.channels];
    const data = new Float32Array(crops.length * channels * plane);
    for (let k = 0; k < channels; k++) {
      const values = normalised(mean, std, k);
      crops.forEach((crop, n) => {
        const at = (n * channels + k) * plane;
        for (let i = 0; i < plane; i++) data[at + i] = values[crop.data[k * plane + i]];
      });
    }
    const found = await this.session.run("faces", { data, dims: [crops.length, channels, size, size] }, this.names);
    const row = (name: string, i: number) => {
      const values = found[name];
      const width = values.data.length / values.dims[0];
      return values.data.slice(i * width, (i + 1) * width);
    };
    return crops.map((_, i) => ({
      probabilities: softmax(row(this.answer, i), temperature),
      heads: Object.fromEntries(this.heads.map((h) => [h.name, named(h.labels, activated(h, row(h.output, i)))])),
      theta: found.theta ? row("theta", i) : null,
      attention: found.attention
        ? { height: found.attention.dims[1], width: found.attention.dims[2], data: row("attention", i) }
        : null,
    }));
  }
}

/** What a channel's grey values are to the network, each step in single precision as in Python: a last bit that differs
    before the samples are rounded (`mien.export.steady`) moves an undecided face by a per cent. */
function normalised(mean: number | number[], std: number | number[], k: number): Float32Array {
  const f = Math.fround;
  const [m, s] = [mean, std].map((values) => (typeof values === "number" ? f(255 * values) : f(255 * f(values[k]))));
  return Float32Array.from({ length: 256 }, (_, value) => f(value - m) / s);
}

/** Label -> value. */
export function named(labels: readonly string[], values: ArrayLike<number>): Record<string, number> {
  return Object.fromEntries(labels.map((label, i) => [label, values[i]]));
}

/** The head of that name, which answers. */
export function headOf(spec: Spec, name: string): Head {
  const wanted = String(name).toLowerCase().replace("ferplus", "fer+");
  const head = spec.heads.find((h) => h.name === wanted && h.kind === "classification");
  if (head) return head;
  const there = spec.heads.map((h) => h.name).join(", ") || "one answer only";
  throw new MienError(`labels must name a head of ${spec.name}, which has ${there}; got ${shown(name)}`);
}

function softmax(logits: ArrayLike<number>, temperature: number): number[] {
  const scaled = Array.from(logits, (v) => v / temperature);
  const top = Math.max(...scaled);
  const powers = scaled.map((v) => Math.exp(v - top));
  const sum = powers.reduce((a, b) => a + b);
  return powers.map((v) => v / sum);
}

/** A head's numbers as its kind wants them. */
function activated({ kind, temperature }: Head, values: Float32Array): ArrayLike<number> {
  if (kind === "classification") return softmax(values, temperature);
  return kind === "multilabel" ? values.map((v) => 1 / (1 + Math.exp(-v / temperature))) : values;
}
