/* The film of a review: plays it, says which moment is on show, and offers a copy where the browser cannot play it.
   Leaves out: what is drawn over it (review.js). */

import { addressOf } from "./api.js";
import { setText } from "./dom.js";

const $ = (id) => document.getElementById(id);

/**
 * Load the film. `onTime(seconds)` hears of every frame that is played, `onTrouble(text)` of what went wrong;
 * `hasCopy()` says whether the server has a copy already, `makeCopy(done)` lets it make one, `name()` is the film's.
 */
export function startFilm({ onTime, onTrouble, hasCopy, makeCopy, name }) {
  const film = $("film");
  let at = 0; // seconds that were asked for last
  const fit = () => Object.assign($("boxes").style, {
    width: `${film.clientWidth}px`, height: `${film.clientHeight}px`, left: `${film.offsetLeft}px`, top: `${film.offsetTop}px`,
  });
  new ResizeObserver(fit).observe(film);
  new ResizeObserver(fit).observe($("stage"));

  const next = () => (film.requestVideoFrameCallback ? film.requestVideoFrameCallback(each) : setTimeout(each, 40));
  const each = (_, frame) => {
    if (!film.paused) onTime((at = frame?.mediaTime ?? film.currentTime));
    next();
  };
  next();

  function go(seconds) {
    at = seconds;
    film.currentTime = seconds + 0.002; // within the frame, whatever is rounded
  }

  function play() {
    if (!film.paused) return film.pause();
    film.play().catch((error) => error.name === "AbortError" || onTrouble(`It cannot be played: ${error.message}`));
  }

  function load(path) {
    if (document.activeElement === $("make-copy")) $("play").focus(); // which goes away
    $("unplayable").hidden = true;
    film.src = addressOf(path);
  }

  function unplayable() {
    if (film.src.endsWith("preview")) return onTrouble("The copy cannot be played either.");
    if (hasCopy()) return load("v1/review/preview");
    setText($("unplayable-words"), `This browser cannot play ${name()}. Everything works but the picture; for that, a copy
      in H.264, without sound, can be written beside the film.`);
    $("unplayable").hidden = false;
  }

  const copy = () => makeCopy(() => load("v1/review/preview"));
  for (const kind of ["play", "pause"]) film.addEventListener(kind, () => setText($("play"), film.paused ? "Play" : "Pause"));
  film.addEventListener("error", unplayable);
  film.addEventListener("loadedmetadata", () => (film.videoWidth ? (fit(), go(at)) : unplayable()));
  $("play").addEventListener("click", play);
  $("speed").addEventListener("change", () => (film.playbackRate = Number($("speed").value)));
  $("make-copy").addEventListener("click", copy);
  $("copy").addEventListener("click", copy);
  load("v1/review/video");
  return { go, play, pause: () => film.pause() };
}
