/* From a picture to faces with expressions: read, find, crop, classify. The main path, in one place, as in
   `mien/runtime/predictor.py`. Leaves out: each of these steps, and what goes on from frame to frame (stream.ts). */

import { IDENTITY, windowOf } from "./attention.js";
import { type Answer, Classifier, headOf, named } from "./classifier.js";
import { boxInside, cropFace, raiseContrast, toPhoto } from "./crop.js";
import { CenterFace, type Detector, WholeImage } from "./detector.js";
import { occlusion } from "./explain.js";
import { possible } from "./following.js";
import { described, fetched, type Files, verified } from "./files.js";
import { inRange, oneOf, onlyOptions, shown } from "./options.js";
import { type Picture, pixelsOf } from "./pictures.js";
import { measure } from "./quality.js";
import { type Device, Runtime, type Session } from "./session.js";
import { FaceStream, type StreamOptions, type TrackedFrame } from "./stream.js";
import { type Box, type Crop, type Detection, type Face, type Grid, MienError, outcomeOf, type Photo, type Pixels, type Quality, type Spec } from "./types.js";
import { type Watch, watch } from "./watch.js";

export interface PredictorOptions {
  /** Name of a model beside the page: `NAME.json` and the file that it names. Default "mien-small". */
  model?: string;
  /** Name of the head that answers, "fer2013" or "fer+"; without, the model's default answer, which joins its heads. */
  labels?: string;
  /** "centerface", or "none" for pictures that are face crops already, framed like the training data. */
  detector?: "centerface" | "none";
  /** Long side in pixels to which pictures are brought for the detector; null chooses by the picture, as Python does. */
  size?: number | null;
  /** "wasm" (default), "webgpu", or "auto": WebGPU where there is one, else WebAssembly. */
  device?: Device;
  /** Threads of WebAssembly, on a page that is cross-origin isolated; one everywhere else. */
  threads?: number;
  /** Address of the folder of models; without, `models/` beside this module. */
  models?: string;
  /** Address of the folder of onnxruntime-web's files; without, where onnxruntime-web looks itself. */
  wasm?: string;
  /** Reads a model's file by its name; without, from `models` with `fetch`. */
  files?: Files;
}

/** Faces that were found and cropped, before the network. */
interface Found {
  detections: Detection[];
  crops: Crop[];
  quality: Quality[];
}

/** Finds the faces of pictures and names their expressions; opens its files once. Works in a page and in a worker. */
export class Predictor {
  private constructor(
    private readonly classifier: Classifier,
    readonly detector: Detector,
    /** What runs the networks: "webgpu" or "wasm". */
    readonly device: "webgpu" | "wasm",
    private readonly release: () => Promise<void>,
  ) {}

  /** Opens the networks; raises MienError for an option that is none, a file that is not what it should be, and a browser
      that runs neither WebGPU nor WebAssembly. */
  static async create(options: PredictorOptions = {}): Promise<Predictor> {
    onlyOptions("Predictor.create", options, OPTIONS);
    const { model = "mien-small", detector = "centerface", size = null, labels, device, wasm, threads } = options;
    if (typeof model !== "string" || !model) throw new MienError(`model must be the name of one, such as "mien-small", got ${shown(model)}`);
    oneOf("detector", detector, ["centerface", "none"]);
    if (size !== null) lookedAt(size);
    const files = options.files ?? fetched(options.models ?? new URL("./models/", import.meta.url).href);
    const names = detector === "none" ? [model] : [model, detector];
    const about = await Promise.all(names.map((name) => described(files, name)));
    if (labels !== undefined) headOf(about[0], labels); // an error before anything large is loaded
    const [runtime, ...bytes] = await Promise.all([
      Runtime.open({ device, wasm, threads }, about.map(({ sha256 = "" }) => sha256)), ...about.map((one) => verified(files, one)),
    ]);
    const opened: Session[] = [];
    const release = async () => void (await Promise.all(opened.map((session) => session.release())));
    try {
      for (const [i, one] of about.entries()) {
        opened.push(await runtime.session({ name: one.file, bytes: bytes[i], floats: one.floats, read: () => verified(files, one) }));
      }
      const finder = detector === "none" ? new WholeImage() : new CenterFace(opened[1], size);
      return new Predictor(new Classifier(opened[0], about[0], labels), finder, runtime.device, release);
    } catch (error) {
      await release();
      throw error;
    }
  }

  /** What the model says of itself: labels, colours, accuracy, intended use. */
  get spec(): Spec {
    return this.classifier.spec;
  }

  /** The faces of one picture. What it shows is never an error; one that cannot be read raises MienError. */
  async predict(picture: Picture): Promise<Photo> {
    const pixels = await pixelsOf(picture);
    const faces = await this.classify(this.find(pixels, await this.detect(pixels)));
    const source = typeof File !== "undefined" && picture instanceof File ? picture.name : "";
    return { source, outcome: outcomeOf(faces), width: pixels.width, height: pixels.height, faces, error: "", time: null };
  }

  /** The faces of a video, frame after frame, until `stop()`; see {@link StreamOptions}. */
  stream(video: HTMLVideoElement, onFrame: (frame: TrackedFrame) => unknown, options: StreamOptions = {}): Watch {
    return watch(this.follow(options), video, onFrame, options);
  }

  /** The same for frames that you push yourself, in a worker for instance. */
  follow(options: StreamOptions = {}): FaceStream {
    return new FaceStream(this, options);
  }

  /** The same networks for pictures whose long side is brought to `size` pixels for the detector; closing one closes both. */
  sized(size: number): Predictor {
    lookedAt(size);
    return new Predictor(this.classifier, this.detector.atSize?.(size) ?? this.detector, this.device, this.release);
  }

  /** How much a face's answer rests on each pixel of its crop, see {@link occlusion}. */
  occlusion(face: Face): Promise<Grid> {
    return occlusion(async (crops) => (await this.classifier.classify(crops)).map((a) => a.probabilities), face.crop);
  }

  /** Let go of the networks' memory, after the run that is under way; whatever asks for another one gets a MienError. */
  close(): Promise<void> {
    return this.release();
  }

  /** @internal Where the faces of a picture are. */
  async detect(pixels: Pixels): Promise<Detection[]> {
    const found = await this.detector.detect(pixels);
    return this.detector instanceof WholeImage ? found.map((d) => ({ ...d, box: boxInside(d.box, this.spec) })) : found;
  }

  /** @internal The same for one frame of many: a detector that chooses its size looks less far for small faces. */
  detectInFrame(pixels: Pixels): Promise<Detection[]> {
    return this.detector.forFrames ? this.detector.forFrames().detect(pixels) : this.detect(pixels);
  }

  /** @internal First half after detection: crops and their quality. */
  find(pixels: Pixels, detections: Detection[]): Found {
    const { spec } = this;
    const raw = detections.map((d) => cropFace(pixels, d.box, spec, d.turn));
    const long = Math.max(pixels.width, pixels.height);
    const quality = raw.map((crop, i) => measure(crop, detections[i].box, detections[i].landmarks, long, detections[i].turn, spec.quality));
    return { detections, crops: raw.map((crop) => raiseContrast(crop, spec.contrast)), quality };
  }

  /** @internal Second half: the network's answers. */
  async classify({ detections, crops, quality }: Found): Promise<Face[]> {
    const answers = await this.classifier.classify(crops);
    return answers.map((answer, i) => this.face(detections[i], crops[i], quality[i], answer));
  }

  private face(d: Detection, crop: Crop, quality: Quality, { probabilities: p, heads, theta, attention }: Answer): Face {
    const { spec } = this;
    const best = p.indexOf(Math.max(...p));
    const place: [Box, Spec, number] = [d.box, spec, d.turn];
    const prediction_set = possible(p, spec);
    return {
      ...d, label: spec.labels[best], confidence: p[best], uncertain: prediction_set.length > 1, prediction_set,
      probabilities: named(spec.labels, p), heads, crop, quality, usable: !quality.problems.length, theta, attention,
      corners: toPhoto(windowOf(IDENTITY, crop.size), ...place),
      attention_window: theta && toPhoto(windowOf(theta, crop.size), ...place), track: null, time: null,
    };
  }
}

const OPTIONS = ["model", "labels", "detector", "size", "device", "threads", "models", "wasm", "files"];

const lookedAt = (size: unknown) => inRange("size", size, "null or 64 to 8192 pixels", 64, 8192);
