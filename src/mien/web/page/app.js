/* Starts the page: finds out who answers and which model runs, wires photos and webcam, the tabs and light or dark.
   Leaves out: everything that is done with a picture. Nothing is stored in the browser, not even the theme. */

import { openEngine } from "./engine.js";
import { el, setText } from "./dom.js";
import { startPhotos } from "./photos.js";
import { paintLabels, wireTheme } from "./theme.js";
import { startWebcam } from "./webcam.js";

const $ = (id) => document.getElementById(id);
const tabs = [$("tab-photos"), $("tab-webcam")];
const panel = (tab) => $(tab.getAttribute("aria-controls"));
const say = (text) => setText($("status"), text); // read out, politely, by a screen reader

/** Photos or webcam; leaving the webcam switches it off, so that it never runs unseen. */
function choose(tab, webcam) {
  for (const t of tabs) {
    t.setAttribute("aria-selected", String(t === tab));
    t.tabIndex = t === tab ? 0 : -1;
    panel(t).hidden = t !== tab;
  }
  if (tab === $("tab-photos")) webcam.stop();
}

function wireTabs(webcam) {
  for (const tab of tabs) {
    tab.addEventListener("click", () => choose(tab, webcam));
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1, Home: -tabs.indexOf(tab), End: tabs.length - 1 - tabs.indexOf(tab) }[event.key];
      if (step === undefined) return;
      event.preventDefault();
      const next = tabs[(tabs.indexOf(tab) + step + tabs.length) % tabs.length];
      choose(next, webcam);
      next.focus();
    });
  }
}

function describe({ model, promise }) {
  setText($("accuracy"), `Model ${model.accuracy}`);
  setText($("version"), `· mien ${model.mien}`);
  if (model.intended_use) setText($("terms"), model.intended_use);
  setText($("promise"), promise);
  const others = (model.models ?? []).filter((other) => other.name !== model.name);
  const links = others.map(({ name, bytes }) => el("a", { href: `?model=${name}` }, `${name} (${(bytes / 1e6).toFixed(1)} MB)`));
  if (links.length) $("version").after(" · instead: ", ...links.flatMap((link, i) => (i ? [", ", link] : [link])));
}

/** Let the browser keep the page, to work offline; where it may not, everything else works all the same. */
function keep() {
  const worker = self.crossOriginIsolated ? "sw.js?threads" : "sw.js";
  navigator.serviceWorker?.register(worker).catch((error) => console.info(`mien: this page will not work offline (${error.message})`));
}

let redraw = () => {};
wireTheme(() => redraw());
try {
  const engine = await openEngine();
  const { model } = engine;
  describe(engine);
  const webcam = startWebcam({ engine, say });
  startPhotos({ engine, say, show: () => choose($("tab-photos"), webcam) });
  wireTabs(webcam);
  redraw = () => (paintLabels(model), webcam.redraw());
  redraw();
  document.documentElement.dataset.ready = "";
  if (document.documentElement.dataset.engine === "browser") keep();
} catch (error) {
  setText($("accuracy"), error.offline ? `${error.message} Reload this page when it is.` : error.message);
  $("accuracy").classList.add("bad");
  say(error.message);
}
