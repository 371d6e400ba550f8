/* Talks to the server that sent this page, and to nobody else.
   Leaves out: what the answers mean (photos.js, webcam.js). */

const server = new URL("../", import.meta.url); // also right where the page lies below a path

/** Something to tell the person in front of the page; `offline` where nothing answered at all. */
export class Trouble extends Error {
  constructor(message, offline = false) {
    super(message);
    this.offline = offline;
  }
}

/** What runs there: name, labels, colours, accuracy, limits, intended use. */
export async function askModel() {
  return (await ask("v1/model", {})).json();
}

/**
 * The answer for pictures: one entry of `photos` for each of `files` ({name, blob}). `pictures`: false, true or "all".
 * A busy server is asked again when it says so; `onWait(seconds)` hears of it. `signal` ends it with an AbortError.
 */
export async function predict(files, { pictures, signal, onWait = () => {} }) {
  const body = new FormData();
  for (const { name, blob } of files) body.append("files", blob, name);
  for (;;) {
    const response = await ask(`v1/predict?pictures=${pictures}`, { method: "POST", body, signal });
    if (response.status !== 503) return response.json();
    const seconds = Math.min(30, Math.max(0.2, Number(response.headers.get("Retry-After")) || 1));
    onWait(seconds);
    await sleep(seconds, signal);
  }
}

/** Resolves after so many seconds, or fails with an AbortError. */
export function sleep(seconds, signal) {
  return new Promise((done, fail) => {
    signal?.throwIfAborted();
    const timer = setTimeout(() => (signal?.removeEventListener("abort", end), done()), seconds * 1000);
    const end = () => (clearTimeout(timer), fail(signal.reason));
    signal?.addEventListener("abort", end, { once: true });
  });
}

/** What a server's path answers to a small JSON object that is sent to it. */
export async function send(path, body) {
  const headers = { "Content-Type": "application/json" };
  const response = await ask(path, { method: "POST", headers, body: JSON.stringify(body) });
  if (response.status === 503) throw new Trouble("The server is busy; try again in a second.");
  return response.json();
}

/** The response to a GET. */
export const fetched = (path) => ask(path, {});

/** The address of a path of the server. */
export const addressOf = (path) => new URL(path, server).href;

/** The response, good, "busy" or about pictures that cannot be read; anything else is Trouble. */
async function ask(path, options) {
  let response;
  try {
    response = await fetch(new URL(path, server), { cache: "no-store", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Trouble("The mien server does not answer. Is `mien serve` still running?", true);
  }
  if (response.ok || response.status === 503) return response;
  const problem = await response.clone().json().catch(() => ({}));
  if (response.status === 422 && problem.photos) return response; // none could be read, and it says why
  throw Object.assign(new Trouble(problem.detail || problem.title || `The server answered ${response.status}.`), { status: response.status });
}
