/* The networks in the page itself: a worker runs them, so that the page stays quick; nothing leaves the browser.
   Leaves out: what the worker does (worker.js), and drawing (views.js). */

import { Trouble } from "./api.js";
import { cropView, decidedView, lookedView } from "./views.js";

const WHILE_AWAY = "The networks in this page stopped. Reload the page.";

/** Start the worker with a model (null: the page's own); an engine as engine.js describes it. */
export async function openLocal(model) {
  const worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
  const waiting = new Map(); // number of a question -> what to do with its answer
  let [asked, stopped] = [0, false];
  worker.addEventListener("message", ({ data: { id, answer, error } }) => {
    const { done, fail } = waiting.get(id) ?? {};
    if (error) fail?.(new Trouble(error));
    else done?.(answer);
  });
  worker.addEventListener("error", () => {
    stopped = true;
    for (const { fail } of [...waiting.values()]) fail(new Trouble(WHILE_AWAY));
  });
  /** The worker's answer; `signal` ends the waiting with an AbortError, not the work. Nothing is left behind then. */
  const ask = (kind, given, { transfer = [], signal } = {}) =>
    new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      if (stopped) throw new Trouble(WHILE_AWAY);
      const id = ++asked;
      const end = () => (waiting.delete(id), signal?.removeEventListener("abort", away));
      const away = () => (end(), reject(signal.reason));
      waiting.set(id, { done: (answer) => (end(), resolve(answer)), fail: (error) => (end(), reject(error)) });
      signal?.addEventListener("abort", away);
      worker.postMessage({ id, kind, ...given }, transfer);
    });

  const about = await ask("open", { model });
  return {
    model: about,
    promise: "Pictures stay in this page: it has no server to send them to, and works without a network.",
    idle: "The webcam is off. Its frames stay in this page and are forgotten at once.",
    async photo({ name, blob }, { pictures, signal }) {
      const photo = await ask("photo", { name, blob, pictures }, { signal });
      photo.faces?.forEach(draw);
      return photo;
    },
    follower: () => follower(ask),
  };
}

function follower(ask) {
  let living = [];
  return {
    alive: (number) => living.includes(number),
    async push(still, time, { pictures, signal }) {
      const bitmap = await createImageBitmap(still);
      const { photo, alive } = await ask("frame", { bitmap, time, pictures }, { transfer: [bitmap], signal });
      living = alive;
      photo.faces.forEach(draw);
      return photo;
    },
  };
}

/** The small pictures of a face, out of what the network saw; null for one that there is not, as the server has it. */
function draw(face) {
  const { seen } = face;
  delete face.seen;
  if (!seen) return;
  face.crop = cropView(seen.crop);
  face.looked = seen.attention ? lookedView(seen) : null;
  if (seen.decided) face.decided = decidedView(seen);
}
