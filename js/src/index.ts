/* What the package gives: `import { Predictor } from "mien"`. */

export { IDENTITY, laidBack, windowOf } from "./attention.js";
export { Predictor, type PredictorOptions } from "./predictor.js";
export type { Files } from "./files.js";
export type { Picture } from "./pictures.js";
export type { Device } from "./session.js";
export { FaceStream, type StreamOptions, type TrackedFrame } from "./stream.js";
export {
  type Box, type Crop, type Detection, type Face, type Grid, type Head, MienError, type Outcome, type Photo, type Pixels, type Point,
  type Quality, type Rules, type Spec, toDict,
} from "./types.js";
export { type Watch, watch } from "./watch.js";
