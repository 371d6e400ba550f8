/* The webcam: frames are answered one at a time, as fast as the engine does; boxes, smoothed bars and the timeline follow.
   Leaves out: the camera itself (camera.js), who answers and who is who (engine.js), the timeline (timeline.js). No frame is
   kept. */

import { sleep, Trouble } from "./api.js";
import { copy, nextFrame, openCamera, reason, release } from "./camera.js";
import { el, save, setText } from "./dom.js";
import { doubtWords, drawBoxes, faceView } from "./faces.js";
import { Timeline } from "./timeline.js";

const CROPS_EVERY = 1; // seconds between answers with the small pictures
const SPOKEN_EVERY = 6; // seconds between announcements, at least
const SHOWN = 6; // faces with bars; boxes and rows are for all

/** Wire the webcam part up; gives back what app.js needs: `stop()` and `redraw()`. */
export function startWebcam({ engine, say }) {
  const { model } = engine;
  const $ = (id) => document.getElementById(id);
  const [video, shown, still] = [$("video"), $("frame"), el("canvas")]; // still: the frame that is being asked about
  const layer = el("div", { class: "layer", "aria-hidden": "true" });
  $("stage").append(layer);
  const [timeline, follower] = [new Timeline($("history"), model.labels), engine.follower()];
  const views = new Map(); // face number -> its view
  const slow = matchMedia("(prefers-reduced-motion: reduce)");
  let run = null; // {stop: AbortController, stream} while the webcam is on
  let [begun, latest, rate] = [null, null, null];
  const due = { crops: 0, words: 0, summary: 0, line: 0 }; // when each comes next, seconds

  const now = () => (performance.now() - (begun ??= performance.now())) / 1000;
  const paused = () => $("cam-pause").getAttribute("aria-pressed") === "true";
  const chosen = () => ($("history-face").value ? Number($("history-face").value) : null);

  async function start() {
    trouble("");
    const mine = (run = { stop: new AbortController(), stream: null });
    look("starting");
    try {
      mine.stream = await openCamera();
      if (mine.stop.signal.aborted) return release(mine.stream); // switched off while the browser asked
      mine.stream.getVideoTracks()[0].addEventListener("ended", () => end("The webcam was unplugged or taken by another program."));
      video.srcObject = mine.stream;
      await video.play();
      look("on");
      say("Webcam on");
      await loop(mine.stop.signal);
    } catch (error) {
      if (!mine.stop.signal.aborted) end(reason(error));
    }
  }

  /** One frame after the other until switched off; a server that went away is asked again. */
  async function loop(signal) {
    for (;;) {
      await nextFrame(video);
      signal.throwIfAborted();
      if (paused()) {
        await sleep(0.1, signal);
        continue;
      }
      try {
        await oneFrame(signal);
        trouble("");
      } catch (error) {
        if (!(error instanceof Trouble && error.offline)) throw error;
        trouble(`${error.message} Trying again.`);
        await sleep(2, signal);
      }
    }
  }

  async function oneFrame(signal) {
    const time = now();
    copy(video, still, video.videoWidth, video.videoHeight);
    const pictures = time >= due.crops;
    if (pictures) due.crops = time + CROPS_EVERY;
    const onWait = () => setText($("cam-rate"), "the server is busy, waiting");
    latest = await follower.push(still, time, { pictures, signal, onWait });
    signal.throwIfAborted();
    timeline.push(time, latest.faces);
    show(time, now() - time);
  }

  /** Frame and boxes change together, so that boxes lie where the faces are, however slow the answers. */
  function show(time, took) {
    copy(still, shown);
    shown.hidden = false;
    boxes();
    bars();
    rate = rate === null ? took : rate + (took - rate) * 0.1;
    if (time >= due.summary) summary(time);
    if (!slow.matches || time >= due.line) { // with reduced motion the timeline moves once a second
      due.line = time + 1;
      timeline.draw(chosen());
    }
    if (time >= due.words) announce(time);
  }

  function boxes() {
    drawBoxes(layer, latest ? { ...latest, colours: model.colours, mirrored: $("cam-mirror").checked } : { faces: [] });
  }

  /** One view a face, in the order of their numbers; a face that is missed for a moment keeps its view. */
  function bars() {
    for (const [number, view] of views) {
      if (follower.alive(number)) continue;
      view.node.remove();
      views.delete(number);
    }
    for (const face of latest.faces) {
      if (face.number === null) continue; // too weak to be somebody yet
      if (!views.has(face.number) && views.size >= SHOWN) continue;
      if (!views.has(face.number)) {
        const view = faceView(face.number, model, "h3");
        views.set(face.number, view);
        $("live-faces").append(view.node);
        due.crops = 0; // its crops at once
      }
      views.get(face.number).update(face);
    }
    $("live-none").hidden = views.size > 0;
    setText($("live-none"), "No face in the picture.");
  }

  /** What changes too fast to be read: the rate, the shares, the list of faces, once a second. */
  function summary(time) {
    due.summary = time + 1;
    setText($("cam-rate"), `${(1 / rate).toFixed(1)} frames a second`);
    faceList();
    shares();
    $("history-csv").disabled = $("history-clear").disabled = !timeline.rows.length;
  }

  function faceList() {
    const [pick, numbers] = [$("history-face"), timeline.numbers()];
    const wanted = ["", ...numbers.map(String), ...(pick.value && !numbers.includes(Number(pick.value)) ? [pick.value] : [])];
    if ([...pick.options].map((o) => o.value).join() === wanted.join()) return;
    const before = pick.value;
    pick.replaceChildren(...wanted.map((n) => el("option", { value: n }, n ? `number ${n}` : "the largest")));
    pick.value = before;
  }

  function shares() {
    const means = timeline.means(chosen());
    $("history-shares").hidden = !means;
    means?.forEach((p, i) => setText($("history-shares").children[i].lastChild, `${Math.round(100 * p)} %`));
  }

  function announce(time) {
    const words = latest.faces.filter((f) => f.number !== null).slice(0, SHOWN).map((f) => `Face ${f.number}: ${f.label} ${doubtWords(f)}`.trim()).join(". ");
    due.words = time + SPOKEN_EVERY;
    say(words || "No face in the picture");
  }

  /** Switch off; the history stays. `why` is shown where it was not asked for. */
  function end(why = "") {
    if (!run) return;
    run.stop.abort();
    release(run.stream);
    video.srcObject = null;
    [run, latest, rate] = [null, null, null];
    for (const sheet of [shown, still]) sheet.width = sheet.height = 0; // the pixels are gone, too
    shown.hidden = true;
    views.forEach((view) => view.node.remove());
    views.clear();
    boxes();
    setText($("live-none"), "Faces appear here.");
    $("live-none").hidden = false;
    look("off");
    trouble(why);
    if (!why) say("Webcam off"); // trouble is read out by itself
  }

  function trouble(words) {
    setText($("cam-trouble"), words);
    $("cam-trouble").hidden = !words;
  }

  /** The controls for a webcam that is "off", "starting" or "on". */
  function look(state) {
    $("webcam").dataset.state = state;
    setText($("cam-switch"), state === "off" ? "Switch the webcam on" : "Switch the webcam off");
    $("cam-pause").disabled = state !== "on";
    pause(false);
    setText($("cam-rate"), "");
    $("stage-words").hidden = state === "on";
    setText($("stage-words"), state === "off"
      ? engine.idle
      : "Waiting for the webcam. The browser may ask whether this page may use it.");
  }

  function pause(on) {
    $("cam-pause").setAttribute("aria-pressed", String(on));
    setText($("cam-pause"), on ? "Go on" : "Pause");
    if (run?.stream) on ? video.pause() : video.play().catch(() => {}); // switched off in between
  }

  const mirror = () => ($("stage").classList.toggle("mirrored", $("cam-mirror").checked), boxes());
  mirror();
  look("off");
  $("history-shares").replaceChildren(...model.labels.map(shareItem));
  $("history-shares").hidden = true;
  setText($("history-note"), `Bands are smoothed over about ${model.following.smooth} s, as “mien video” does; the CSV has every answer as it came, with boxes in pixels of the frame looked at. Up to ${Timeline.limit.toLocaleString("en")} rows stay in this page's memory until it is closed; the oldest go first. A face that leaves and comes back gets a new number.`);
  $("cam-switch").addEventListener("click", () => (run ? end() : start()));
  $("cam-pause").addEventListener("click", () => pause(!paused()));
  $("cam-mirror").addEventListener("change", mirror);
  $("history-face").addEventListener("change", () => (timeline.draw(chosen()), shares()));
  $("history-csv").addEventListener("click", () => save("mien-webcam.csv", "text/csv", timeline.csv()));
  $("history-clear").addEventListener("click", () => (timeline.clear(), summary(now()), say("History cleared")));
  addEventListener("pagehide", () => end());
  return { stop: () => end(), redraw: () => timeline.draw() };
}

function shareItem(name, i) {
  const swatch = el("span", { class: "swatch", "aria-hidden": "true" });
  swatch.style.background = `var(--label-${i})`;
  return el("li", {}, swatch, `${name} `, el("span", { class: "value" }));
}
