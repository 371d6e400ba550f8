/* The review: shows the film with its boxes and sends corrections; everything on show comes from the server's answer.
   Leaves out: what corrections do (the server), how the recording lies in memory (review-data.js), playing the film
   (review-film.js), the timeline's drawing (review-lanes.js). */

import { fetched, send, sleep } from "./api.js";
import { el, percent, setText } from "./dom.js";
import { drawBoxes } from "./faces.js";
import { Recording } from "./review-data.js";
import { startFilm } from "./review-film.js";
import { Lanes, clock } from "./review-lanes.js";
import { paintLabels, wireTheme } from "./theme.js";

const $ = (id) => document.getElementById(id);
const say = (text) => setText($("status"), text);
const lanes = new Lanes({ frame: $("lanes"), canvas: $("drawing"), head: $("head"), chosen: $("chosen") });
let recording;
let film;
let person = null; // whom corrections are about
let now = 0; // seconds on show

const from = () => Number($("from").value) || 0;
const to = () => Number($("to").value) || 0;

/* ------------------------------------------------------------------ what the server says */

function take(state) {
  recording.set(state);
  if (!recording.of.has(person)) person = recording.of.keys().next().value ?? null;
  setText($("name"), state.video.name);
  if (state.video.width) $("stage").style.setProperty("--shape", String(state.video.width / state.video.height));
  document.title = `mien: review of ${state.video.name}`;
  const count = state.corrections.filter((c) => !c.undone).length;
  setText($("saved"), `${state.table} · ${count} corrections, kept in ${state.file}${state.notes.length ? ` · ${state.notes.join("; ")}` : ""}`);
  $("undo").disabled = !state.undo;
  $("redo").disabled = !state.redo;
  showPersons(state);
  showSegments(state);
  showLog(state);
  paintLabels(state);
  lanes.set(recording);
  show();
}

/** Send something; the answer is shown, and what went wrong is said. */
async function change(path, body, words) {
  setTrouble("");
  try {
    take(await send(`v1/review/${path}`, { after: recording.state.after, ...body }));
    say(`${words} ${recording.state.segments.length} segments.`);
  } catch (error) {
    setTrouble(error.message);
    if (error.status === 409) take(await (await fetched("v1/review")).json());
  }
}

const correct = (correction, words) => change("corrections", { correction }, words);

function setTrouble(text) {
  setText($("trouble"), text);
  $("trouble").hidden = !text;
}

/* ------------------------------------------------------------------ lists */

function showPersons(state) {
  $("persons").replaceChildren(...state.persons.map((p) => {
    const radio = el("input", { type: "radio", name: "person", value: String(p.number), checked: p.number === person });
    radio.addEventListener("change", () => choose(p.number));
    const gone = p.excluded === p.frames;
    const words = gone ? "excluded" : `${clock(p.first)} to ${clock(p.last)}, ${p.frames} frames`;
    return el("label", { class: gone ? "gone" : "" }, radio, el("b", {}, `person ${p.number}`), el("span", { class: "quiet" }, words));
  }));
  choose(person);
}

function choose(number) {
  person = number;
  for (const radio of $("persons").querySelectorAll("input")) radio.checked = Number(radio.value) === number;
  const others = recording.state.persons.filter((p) => p.number !== number);
  $("other").replaceChildren(...others.map((p) => el("option", { value: String(p.number) }, `person ${p.number}`)));
  $("merge").disabled = !others.length;
  const mine = recording.state.persons.find((p) => p.number === number);
  const gone = Boolean(mine) && mine.excluded === mine.frames;
  setText($("exclude"), gone ? "Count again" : "Exclude");
  for (const id of ["split", "exclude", "segment"]) $(id).disabled = !mine;
  show();
}

function showSegments(state) {
  $("segments").replaceChildren(...state.segments.map((s) => {
    const swatch = el("span", { class: "swatch", "aria-hidden": "true" });
    swatch.style.background = state.colours[s.label];
    const words = `person ${s.track}: ${s.label}, ${clock(s.start)} to ${clock(s.end)}`;
    const button = el("button", { type: "button" }, swatch, words);
    button.addEventListener("click", () => {
      choose(s.track);
      pick(s);
      go(s.start);
    });
    return el("li", {}, button, el("span", { class: "quiet" }, `mien: ${percent(s.mean_probability)}`));
  }));
}

function showLog(state) {
  $("log").replaceChildren(...state.corrections.map((c) => {
    const words = el("span", { class: "words" }, `${c.id}. ${c.words}`);
    const turn = c.undone ? "Redo" : "Undo";
    const button = el("button", { type: "button", "aria-label": `${turn} correction ${c.id}` }, turn);
    button.addEventListener("click", () => change(turn.toLowerCase(), { of: c.id }, `${turn}: ${c.words}.`));
    return el("li", { class: c.undone ? "undone" : "" }, words, button);
  }));
  $("log").scrollTop = $("log").scrollHeight;
}

function showLabels({ labels, colours }) {
  $("labels").replaceChildren(...labels.map((label, k) => {
    const key = k < 9 ? String(k + 1) : "";
    const button = el("button", { type: "button" }, el("kbd", { "aria-hidden": "true" }, key), label);
    if (key) button.setAttribute("aria-keyshortcuts", key);
    button.style.borderColor = `var(--label-${k})`;
    button.addEventListener("click", () => setLabel(label));
    return button;
  }));
  $("legend").replaceChildren(...labels.map((label) => {
    const swatch = el("span", { class: "swatch", "aria-hidden": "true" });
    swatch.style.background = colours[label];
    return el("li", {}, swatch, label);
  }));
}

/* ------------------------------------------------------------------ the film */

/** Everything that depends on the present: boxes, the line, the words. */
function show() {
  if (!recording) return;
  const { start } = recording.frame(now);
  const { video, colours } = recording.state;
  const faces = recording.faces(start);
  const known = faces.map((f) => ({ ...f, label: f.label || recording.state.labels[0] }));
  drawBoxes($("boxes"), { width: video.width || 1, height: video.height || 1, faces: known, colours });
  faces.forEach((f, k) => $("boxes").children[k].classList.toggle("picked", f.number === person));
  const mine = faces.find((f) => f.number === person);
  const chance = mine ? percent(recording.chances(mine.i)[recording.label[mine.i]] ?? 0) : "";
  const by = mine && recording.byHand(mine.i) ? ", set by hand" : "";
  const words = !mine ? "not in this frame" : `${mine.label} ${chance}${by}${mine.usable ? "" : ", not counted"}`;
  setText($("seen"), person === null ? "Nobody was followed." : `person ${person}: ${words}`);
  setText($("clock"), `${clock(now)} of ${clock(video.end)}`);
  $("lanes").setAttribute("aria-valuenow", now.toFixed(2));
  $("lanes").setAttribute("aria-valuemax", video.end.toFixed(2));
  $("lanes").setAttribute("aria-valuetext", `${clock(now)}, person ${person}: ${words}`);
  lanes.place(now, from(), to());
}

/** Show the time `seconds`, the frame that is on show then. */
function go(seconds) {
  now = Math.min(Math.max(0, seconds), recording.state.video.end);
  film.go(now);
  show();
}

function step(frames) {
  film.pause();
  const { at } = recording.frame(now);
  go(recording.times[Math.min(Math.max(0, at + frames), recording.times.length - 1)] ?? 0);
}

/* ------------------------------------------------------------------ long work on the server */

async function work(what, name, done) {
  setTrouble("");
  try {
    let job = await send(`v1/review/${what}`, {});
    while (!job.done) {
      setText($("written"), `Writing the ${name}: ${percent(job.share)}`);
      await sleep(0.3);
      job = await (await fetched("v1/review/job")).json();
    }
    if (job.error) throw new Error(job.error);
    const { result } = job;
    const counts = result.counts ? `: ${Object.entries(result.counts).map(([label, n]) => `${n} ${label}`).join(", ")}` : "";
    const words = `Written: ${result.folder ?? result.files.join(", ")}${counts}`;
    setText($("written"), words);
    say(words);
    done?.(result);
  } catch (error) {
    setText($("written"), "");
    setTrouble(error.message);
  }
}

/* ------------------------------------------------------------------ what a person does */

function pick({ start, end }) {
  $("from").value = start.toFixed(3);
  $("to").value = end.toFixed(3);
  show();
}

function pickSegment() {
  const found = recording.segment(person, now);
  if (found) pick(found);
  else setTrouble(`Person ${person} has no segment at ${clock(now)}.`);
}

function setLabel(label) {
  if (person === null) return;
  if (!(to() > from())) pickSegment();
  if (!(to() > from())) return;
  correct({ do: "label", person, start: from(), end: to(), label }, `Person ${person}: ${label}.`);
}

function exclude() {
  const mine = recording.state.persons.find((p) => p.number === person);
  if (!mine) return;
  const back = mine.excluded === mine.frames;
  correct({ do: back ? "include" : "exclude", person }, `Person ${person} ${back ? "counts again" : "is excluded"}.`);
}

function merge() {
  const into = Number($("other").value);
  if (into) correct({ do: "merge", person, into }, `Person ${person} is person ${into}.`).then(() => recording.of.has(into) && choose(into));
}

/** From the present frame on the person is somebody new, who is chosen then. */
async function split() {
  const before = new Set(recording.of.keys());
  await correct({ do: "split", person, start: recording.frame(now).start }, `Person ${person} is split.`);
  const added = [...recording.of.keys()].find((number) => !before.has(number));
  if (added !== undefined) choose(added);
}

function besides(direction) {
  const starts = recording.state.segments.filter((s) => s.track === person).map((s) => s.start);
  const next = direction > 0 ? starts.find((s) => s > now + 1e-3) : starts.findLast((s) => s < now - 1e-3);
  if (next !== undefined) go(next);
}

function other(direction) {
  const all = [...recording.of.keys()];
  const next = all[all.indexOf(person) + direction];
  if (next !== undefined) choose(next);
}

const KEYS = {
  k: () => film.play(), ",": () => step(-1), ".": () => step(1), "[": () => besides(-1), "]": () => besides(1),
  arrowleft: () => go(now - 1), arrowright: () => go(now + 1), arrowup: () => other(-1), arrowdown: () => other(1),
  i: () => $("from-here").click(), o: () => $("to-here").click(), t: pickSegment, s: split, x: exclude,
  g: merge, m: () => $("event").focus(), "+": () => lanes.zoom(2, now), "-": () => lanes.zoom(0.5, now),
};

function wireKeys() {
  document.addEventListener("keydown", (event) => {
    const key = event.key.toLowerCase();
    const typing = event.target.closest("input:not([type=radio], [type=checkbox]), select, textarea");
    if ((event.ctrlKey || event.metaKey) && key === "z" && !typing) {
      event.preventDefault();
      $(event.shiftKey ? "redo" : "undo").click();
      return;
    }
    if (typing || event.ctrlKey || event.metaKey || event.altKey || !$("keys").checked) return;
    if (event.target.type === "radio" && key.startsWith("arrow")) return;
    const label = /^[1-9]$/.test(key) && recording.state.labels[Number(key) - 1];
    const action = label ? () => setLabel(label) : KEYS[key];
    if (!action) return;
    event.preventDefault();
    action();
  });
  $("lanes").addEventListener("keydown", (event) => {
    const far = { ArrowLeft: () => step(-1), ArrowRight: () => step(1), PageUp: () => go(now - 10), PageDown: () => go(now + 10), Home: () => go(0), End: () => step(1e9) }[event.key];
    if (!far || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    event.stopPropagation();
    far();
  });
}

function wireLanes() {
  const place = (event) => {
    const box = $("lanes").getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top + $("lanes").scrollTop };
  };
  $("lanes").addEventListener("pointerdown", (event) => {
    if (event.button) return;
    const { x, y } = place(event);
    const hit = lanes.person(y);
    if (hit !== undefined) choose(hit);
    if (x < lanes.gutter) return;
    $("lanes").setPointerCapture(event.pointerId);
    film.pause();
    go(lanes.time(x));
  });
  $("lanes").addEventListener("pointermove", (event) => {
    if ($("lanes").hasPointerCapture(event.pointerId)) go(lanes.time(place(event).x));
  });
  $("wider").addEventListener("click", () => lanes.zoom(2, now));
  $("narrower").addEventListener("click", () => lanes.zoom(0.5, now));
  $("fit").addEventListener("click", () => lanes.zoom(0, now));
  lanes.placed = show;
}

function wireActions() {
  $("merge").addEventListener("click", merge);
  $("split").addEventListener("click", split);
  $("exclude").addEventListener("click", exclude);
  $("segment").addEventListener("click", pickSegment);
  $("from-here").addEventListener("click", () => pick({ start: recording.frame(now).start, end: to() }));
  $("to-here").addEventListener("click", () => pick({ start: from(), end: recording.frame(now).end }));
  for (const id of ["from", "to"]) $(id).addEventListener("input", show);
  $("event-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const name = $("event").value.trim();
    if (!name) return $("event").focus();
    correct({ do: "event", start: Number(now.toFixed(4)), name }, `Marked: ${name}.`).then(() => ($("event").value = ""));
  });
  $("undo").addEventListener("click", () => change("undo", {}, "Undone."));
  $("redo").addEventListener("click", () => change("redo", {}, "Applied again."));
  $("write-table").addEventListener("click", () => work("table", "table"));
  $("write-faces").addEventListener("click", () => work("faces", "faces"));
}

let redraw = () => {};
wireTheme(() => redraw());
try {
  const [state, faces] = await Promise.all([fetched("v1/review"), fetched("v1/review/faces")]);
  recording = new Recording(await faces.arrayBuffer());
  const first = await state.json();
  showLabels(first);
  take(first);
  film = startFilm({
    onTime: (seconds) => ((now = seconds), show()),
    onTrouble: setTrouble,
    hasCopy: () => recording.state.preview,
    makeCopy: (done) => work("preview", "copy", done),
    name: () => recording.state.video.name,
  });
  $("back").addEventListener("click", () => step(-1));
  $("on").addEventListener("click", () => step(1));
  wireLanes();
  wireActions();
  wireKeys();
  redraw = () => (paintLabels(recording.state), lanes.draw());
  redraw();
  document.documentElement.dataset.ready = "";
} catch (error) {
  setText($("saved"), `${error.message} Reload this page when it is.`);
  $("saved").classList.add("bad");
  say(error.message);
}
