/* Photos: chosen, dropped or pasted, asked about one by one, shown as cards, saved as CSV or JSON.
   Leaves out: how a face looks on the page (faces.js). Cards live until they are removed or the page is closed. */

import { Trouble } from "./api.js";
import { csv, el, save } from "./dom.js";
import { doubtWords, drawBoxes, faceView } from "./faces.js";

/** Wire the photo part up. `say(text)` reads out, `show()` brings this part to the front. */
export function startPhotos({ engine, say, show }) {
  const { model } = engine;
  const $ = (id) => document.getElementById(id);
  const cards = []; // in the order of the page
  const queue = [];
  let working = false;

  function add(files) {
    if (!files.length) return;
    show();
    const fresh = [...files].map((file) => newCard(file));
    cards.unshift(...fresh);
    $("cards").prepend(...fresh.map((card) => card.node));
    queue.push(...fresh);
    tally();
    work();
  }

  /** One photo at a time: a server has others to serve, and memory stays small. */
  async function work() {
    if (working) return;
    working = true;
    for (let card; (card = queue.shift()); ) {
      await card.send();
      tally();
    }
    working = false;
  }

  function newCard(file) {
    const name = file.name || "pasted picture";
    const card = photoCard(name, file, engine, say);
    card.retry.addEventListener("click", () => (queue.push(card), work()));
    card.remove.addEventListener("click", () => {
      const at = cards.indexOf(card);
      drop(card);
      ((cards[at] ?? cards[at - 1])?.remove ?? $("files")).focus();
      say(`${name} removed`);
    });
    return card;
  }

  function drop(card) {
    card.end();
    for (const list of [cards, queue]) if (list.includes(card)) list.splice(list.indexOf(card), 1);
    tally();
  }

  function tally() {
    const done = cards.filter((card) => card.result).length;
    $("photo-tools").hidden = !cards.length;
    const photos = `${cards.length} ${cards.length === 1 ? "photo" : "photos"}`;
    const faces = cards.reduce((n, card) => n + (card.result?.faces?.length ?? 0), 0);
    $("photo-count").textContent = done < cards.length ? `${done} of ${photos}` : `${photos}, ${faces} ${faces === 1 ? "face" : "faces"}`;
    $("photo-csv").disabled = $("photo-json").disabled = !done;
  }

  const results = () => cards.map((card) => card.result).filter(Boolean);
  $("files").addEventListener("change", (event) => {
    add(event.target.files);
    event.target.value = ""; // the same file may be chosen again
  });
  $("photo-clear").addEventListener("click", () => {
    for (const card of [...cards]) drop(card);
    $("files").focus();
    say("All photos removed");
  });
  $("photo-csv").addEventListener("click", () => save("mien-photos.csv", "text/csv", csv(photoRows(results(), model.labels))));
  $("photo-json").addEventListener("click", () => save("mien-photos.json", "application/json", photoJson(results(), model)));
  receive(add, $("drop"));
  add($("files").files); // chosen while the networks were loaded
}

/** Drops anywhere on the page and pictures from the clipboard. */
function receive(add, zone) {
  const carries = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  let depth = 0; // enter and leave come for every element on the way
  const light = (by) => zone.classList.toggle("over", (depth = Math.max(0, depth + by)) > 0);
  addEventListener("dragenter", (event) => carries(event) && light(1));
  addEventListener("dragleave", (event) => carries(event) && light(-1));
  addEventListener("dragover", (event) => carries(event) && event.preventDefault());
  addEventListener("drop", (event) => {
    if (!carries(event)) return;
    event.preventDefault();
    light(-depth);
    add(event.dataTransfer.files);
  });
  addEventListener("paste", (event) => add(event.clipboardData?.files ?? []));
}

/** One photo's card: `send()` asks the engine and never fails; `end()` stops and forgets. */
function photoCard(name, file, engine, say) {
  const { model } = engine;
  const [stop, address] = [new AbortController(), URL.createObjectURL(file)];
  const outcome = el("p", { class: "outcome" }, "waiting");
  const remove = el("button", { type: "button", class: "plain remove", "aria-label": `Remove ${name}` }, "Remove");
  const retry = el("button", { type: "button", hidden: true, "aria-label": `Try ${name} again` }, "Try again");
  const explain = el("button", { type: "button", class: "plain", hidden: true, "aria-label": `Show what decided in ${name}` }, "What decided?");
  const [picture, layer, faces] = [el("img", { alt: `Photo ${name}`, src: address }), el("div", { class: "layer", "aria-hidden": "true" }), el("div", { class: "faces" })];
  const figure = el("figure", { class: "picture" }, el("div", { class: "frame" }, picture, layer),
    el("figcaption", { class: "quiet" }, "This browser does not show this kind of picture; mien read it."));
  picture.addEventListener("error", () => figure.classList.add("blank")); // TIFF and such: boxes on an empty sheet
  const node = el("li", { class: "card" },
    el("div", { class: "card-head" }, el("div", { class: "words" }, el("h3", {}, name), outcome), retry, explain, remove), el("div", { class: "card-body" }, figure, faces));
  const card = { node, remove, retry, result: null, send, end };
  const views = [];
  explain.addEventListener("click", showWhatDecided);

  async function send() {
    retry.hidden = true;
    tell("working", "looking …");
    try {
      if (file.size > model.limits.bytes) throw new Trouble(`too large: ${megabytes(file.size)}, up to ${megabytes(model.limits.bytes)} can be read`);
      finish(await ask(true));
    } catch (error) {
      if (stop.signal.aborted) return;
      tell("bad", reason(error));
      retry.hidden = file.size > model.limits.bytes;
      say(`${name}: ${outcome.textContent}`);
    }
  }

  function ask(pictures) {
    const onWait = (seconds) => tell("working", `the server is busy, trying again in ${Math.ceil(seconds)} s`);
    return engine.photo({ name, blob: file }, { pictures, signal: stop.signal, onWait });
  }

  /** Occlusion maps take a hundred runs of the network a face, so they come when they are asked for. */
  async function showWhatDecided() {
    explain.disabled = true;
    const before = node.dataset.outcome;
    tell("working", "covering part after part …");
    try {
      const { faces } = await ask("all");
      views.forEach((view, i) => view.update(faces[i]));
      explain.hidden = true;
      tell(before, outcomeWords(card.result));
      say(`${name}: what decided is shown`);
    } catch (error) {
      if (stop.signal.aborted) return;
      explain.disabled = false;
      tell("bad", reason(error));
    }
  }

  function finish(result) {
    card.result = result;
    tell(result.outcome === "faces" ? "good" : result.outcome === "unreadable" ? "bad" : "none", outcomeWords(result));
    say(`${name}: ${outcomeWords(result)}. ${(result.faces ?? []).map((f, i) => `Face ${i + 1}: ${f.label} ${doubtWords(f)}`).join(". ")}`);
    if (!result.faces) return figure.classList.add("blank", "broken");
    frame(layer.parentElement, result);
    picture.alt = `Photo ${name}, ${outcomeWords(result)}`;
    drawBoxes(layer, { ...result, colours: model.colours, faces: result.faces.map((f, i) => ({ ...f, number: i + 1 })) });
    node.classList.toggle("many", result.faces.length > 2);
    for (const [i, face] of result.faces.entries()) {
      views.push(faceView(i + 1, model));
      views[i].update(face);
      faces.append(views[i].node);
    }
    explain.hidden = !views.length;
  }

  function tell(kind, words) {
    node.dataset.outcome = kind;
    outcome.textContent = words;
  }

  function end() {
    stop.abort();
    URL.revokeObjectURL(address);
    node.remove();
  }
  return card;
}

/** Give the frame the photo's shape, so that boxes fit even where the browser cannot show the photo. */
function frame(node, { width, height }) {
  node.style.aspectRatio = `${width} / ${height}`;
  node.style.setProperty("--shape", width / height);
}

const reason = (error) => (error instanceof Trouble ? error.message : `something went wrong: ${error.message}`);

const megabytes = (bytes) => `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;

function outcomeWords({ outcome, error, faces }) {
  if (outcome === "unreadable") return `cannot be read: ${error}`;
  if (outcome === "no face") return "no face was found";
  const count = `${faces.length} ${faces.length === 1 ? "face" : "faces"}`;
  return outcome === "unusable" ? `${count}, none that can be used` : count;
}

/** One row a face; a photo without any has one with face 0. */
function photoRows(results, labels) {
  const head = ["photo", "outcome", "face", "label", "confidence", ...labels, "left", "top", "right", "bottom",
    "score", "uncertain", "prediction_set", "usable", "problems"];
  return [head, ...results.flatMap((r) => r.faces?.length ? r.faces.map((f, i) => faceRow(r, f, i + 1, labels))
    : [[r.photo, r.outcome, 0, ...Array(labels.length + 10).fill(""), r.error ?? ""]])];
}

function faceRow(r, f, number, labels) {
  return [r.photo, r.outcome, number, f.label, f.confidence, ...labels.map((name) => f.probabilities[name]), ...f.box,
    f.score, Number(f.uncertain), f.prediction_set.join(" "), Number(f.usable), (f.quality?.problems ?? []).join("; ")];
}

/** The answers as they came, without the small pictures. */
function photoJson(results, model) {
  const photos = results.map((r) => (r.faces ? { ...r, faces: r.faces.map(({ crop, looked, decided, ...rest }) => rest) } : r));
  return JSON.stringify({ mien: model.mien, model: model.name, accuracy: model.accuracy, photos }, null, 1) + "\n";
}
