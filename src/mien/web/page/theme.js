/* Light and dark, and the labels' colours on either ground. Nothing is stored in the browser, not even the theme.
   Leaves out: the colours themselves (style.css, the server). */

import { visibleOn } from "./dom.js";

const $ = (id) => document.getElementById(id);

/** Light or dark as the system has it, until the button says otherwise. `changed()` hears of every change. */
export function wireTheme(changed) {
  const [root, system] = [document.documentElement, matchMedia("(prefers-color-scheme: dark)")];
  const dark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const apply = () => {
    $("theme").setAttribute("aria-pressed", String(dark()));
    changed();
  };
  $("theme").addEventListener("click", () => {
    root.dataset.theme = dark() ? "light" : "dark";
    apply();
  });
  system.addEventListener("change", apply);
  apply();
}

/** The labels' colours as custom properties, each so that it stands out from the present ground. */
export function paintLabels(model) {
  const ground = getComputedStyle(document.body).backgroundColor;
  model.labels.forEach((name, i) => document.documentElement.style.setProperty(`--label-${i}`, visibleOn(model.colours[name], ground)));
}
