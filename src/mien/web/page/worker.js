/* Runs the networks beside the page: answers {id, kind, ...} with {id, answer} or {id, error}.
   Leaves out: everything that the package mien does (mien.js). */

import { MienError, Predictor, toDict } from "../mien.js";

const root = new URL("../", import.meta.url);
const WEBCAM = { size: 320, look: 0.5 }; // one or two people near the camera: a smaller look finds them, three times as fast
const LIMITS = { bytes: 256 * 2 ** 20, pixels: 50_000_000 };

let [predictor, webcam, stream] = [null, null, null];

const tasks = {
  async open({ model }) {
    const models = await offered();
    const name = (models.find((m) => m.name === model) ?? models[0]).name;
    const options = { model: name, models: new URL("models/", root).href, wasm: root.href, device: "wasm" };
    predictor = await Predictor.create(options);
    webcam = predictor.sized(WEBCAM.size);
    stream = webcam.follow({ look: WEBCAM.look });
    return { ...predictor.spec, limits: LIMITS, models };
  },

  async photo({ name, blob, pictures }) {
    try {
      const photo = { ...(await predictor.predict(blob)), source: name };
      return told(photo, pictures);
    } catch (error) {
      if (!(error instanceof MienError)) throw error;
      return { photo: name, outcome: "unreadable", error: error.message };
    }
  },

  async frame({ bitmap, time, pictures }) {
    const { photo, raw } = await stream.push(bitmap, time).finally(() => bitmap.close());
    const labels = predictor.spec.labels;
    const answer = await told(photo, pictures);
    answer.faces.forEach((face, i) => {
      face.number = photo.faces[i].track;
      face.rawLabel = raw[i].label;
      face.raw = labels.map((label) => raw[i].probabilities[label]);
      face.smooth = labels.map((label) => photo.faces[i].probabilities[label]);
    });
    return { photo: answer, alive: stream.living };
  },
};

/** The networks that lie beside the page, the usual one first. */
async function offered() {
  const address = new URL("models/index.json", root).href;
  try {
    return await (await fetch(address)).json();
  } catch (error) {
    throw new MienError(`${address} cannot be read (${error.message}): the folder of this page is not all there; make it anew with "mien web"`);
  }
}

/** A photo as the server would tell it, and under `seen` what its small pictures are drawn of. */
async function told(photo, pictures) {
  const entry = toDict(photo);
  if (!pictures) return entry;
  for (const [i, face] of photo.faces.entries()) {
    const { crop, attention, theta } = face;
    const decided = pictures === "all" ? await predictor.occlusion(face) : null;
    entry.faces[i].seen = { crop, attention, theta, decided };
  }
  return entry;
}

addEventListener("message", async ({ data: { id, kind, ...given } }) => {
  try {
    postMessage({ id, answer: await tasks[kind](given) });
  } catch (error) {
    postMessage({ id, error: error instanceof MienError ? error.message : `something went wrong: ${error.message}` });
  }
});
