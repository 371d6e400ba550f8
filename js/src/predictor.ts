/* From a picture to faces with expressions: read, find, crop, classify. The main path, in one place, as in
   `mien/runtime/predictor.py`. Leaves out: each of these steps, and what goes on from frame to frame (stream.ts). */

import { IDENTITY, windowOf } from "./attention.js";
import { type Answer, Classifier, named } from "./classifier.js";
import { boxInside, cropFace, raiseContrast, toPhoto } from "./crop.js";
import { CenterFace, type Detector, WholeImage } from "./detector.js";
import { occlusion } from "./explain.js";
import { possible } from "./following.js";
import { fetched, type Files } from "./files.js";
import { type Picture, pixelsOf } from "./pictures.js";
import { measure } from "./quality.js";
import { type Device, Runtime } from "./session.js";
import { FaceStream, type StreamOptions, type TrackedFrame, type Watch, watch } from "./stream.js";
import { type Box, type Crop, type Detection, type Face, type Grid, MienError, outcomeOf, type Photo, type Pixels, type Quality, type Spec } from "./types.js";

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
  /** Address of the folder of onnxruntime-web's files, ending in "/"; without, where onnxruntime-web looks itself. */
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

  static async create(options: PredictorOptions = {}): Promise<Predictor> {
    const { model = "mien-small", detector = "centerface", size = null } = options;
    if (detector !== "centerface" && detector !== "none") throw new MienError(`detector must be "centerface" or "none", got ${JSON.stringify(detector)}`);
    if (size !== null && !(size >= 64 && size <= 8192)) throw new MienError(`size must be null or 64 to 8192 pixels, got ${size}`);
    const files = options.files ?? fetched(options.models ?? new URL("./models/", import.meta.url).href);
    const open = async (name: string) => {
      const about = JSON.parse(new TextDecoder().decode(await files(`${name}.json`)));
      return { about, bytes: await files(about.file) };
    };
    const [runtime, network, finder] = await Promise.all([
      Runtime.open(options.device ?? "wasm", options.wasm, options.threads),
      open(model),
      detector === "none" ? null : open(detector),
    ]);
    const session = await runtime.session(network.bytes);
    const eyes = finder && (await runtime.session(finder.bytes, finder.about.floats));
    const classifier = new Classifier(session, network.about as Spec, options.labels);
    const found = eyes ? new CenterFace(eyes, size) : new WholeImage();
    return new Predictor(classifier, found, runtime.device, async () => {
      await Promise.all([session.release(), eyes?.release()]);
    });
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
    return { source, outcome: outcomeOf(faces), width: pixels.width, height: pixels.height, faces };
  }

  /** The faces of a video, frame after frame, until `stop()`; see {@link StreamOptions}. */
  stream(video: HTMLVideoElement, onFrame: (frame: TrackedFrame) => unknown, options: StreamOptions = {}): Watch {
    return watch(this.follow(options), video, onFrame, options);
  }

  /** The same for frames that you push yourself, in a worker for instance. */
  follow(options: StreamOptions = {}): FaceStream {
    return new FaceStream(this, options);
  }

  /** The same networks for pictures whose long side is brought to `size` pixels for the detector. */
  sized(size: number): Predictor {
    return new Predictor(this.classifier, this.detector.atSize?.(size) ?? this.detector, this.device, this.release);
  }

  /** How much a face's answer rests on each pixel of its crop, see {@link occlusion}. */
  occlusion(face: Face): Promise<Grid> {
    return occlusion(async (crops) => (await this.classifier.classify(crops)).map((a) => a.probabilities), face.crop);
  }

  /** Let go of the networks' memory. */
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
      attention_window: theta && toPhoto(windowOf(theta, crop.size), ...place),
    };
  }
}
