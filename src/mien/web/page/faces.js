/* One face on the page: its label, doubts, bars and crops; and the boxes over a picture.
   Leaves out: where faces come from. Photos and the webcam show them in the same way. */

import { el, inkOn, percent, setText } from "./dom.js";

const CROWD = 8; // from so many faces on, a box has its number only

/** The colour of label number i, set by app.js so that it can be seen on the page's ground. */
export const labelColour = (i) => `var(--label-${i})`;

/**
 * A view of face `number` in the labels and colours of the model; `update(face)` shows an answer: {label, confidence, prediction_set, probabilities, usable,
 * quality} and, where they came along, `crop`, `looked` and `decided`.
 */
export function faceView(number, { labels, colours }, heading = "h4") {
  const [mark, label, chance] = [el("span", { class: "number" }, String(number)), el("span"), el("span", { class: "chance" })];
  const head = el(heading, { class: "face-head" }, mark, el("span", { class: "unseen" }, " face: "), label, " ", chance);
  const [doubt, problem] = [el("p", { class: "doubt" }), el("p", { class: "problem" })];
  const rows = labels.map(barRow);
  const table = el("table", { class: "bars" }, el("caption", { class: "unseen" }, `Probabilities of face ${number}`),
    el("tbody", {}, ...rows.map((row) => row.node)));
  const tiles = el("div", { class: "tiles" });
  const [crop, looked] = [tile("what it saw", `Face ${number}: the grey crop that the network saw`),
    tile("where it looked", `Face ${number}: the part of the crop that decided, marked by colour`)];
  const decided = tile("what decided", `Face ${number}: the warmer, the more of the answer is lost when that part is covered`);
  tiles.append(crop.node, looked.node, decided.node);
  const node = el("div", { class: "face" }, head, doubt, problem, el("div", { class: "face-body" }, table, tiles));

  function update(face) {
    const best = labels.indexOf(face.label);
    mark.style.background = colours[face.label];
    mark.style.color = inkOn(colours[face.label]);
    setText(label, face.label);
    setText(chance, percent(face.confidence));
    setText(doubt, doubtWords(face));
    setText(problem, problemWords(face));
    node.classList.toggle("useless", !face.usable);
    rows.forEach((row, i) => row.update(face.probabilities[labels[i]], i === best));
    crop.update(face.crop);
    looked.update(face.looked);
    decided.update(face.decided);
  }
  return { node, update };
}

/** "unsure: or neutral, sad"; "" where only one expression is left. */
export function doubtWords(face) {
  const others = face.prediction_set.filter((name) => name !== face.label);
  return others.length ? `unsure: or ${others.join(", ")}` : "";
}

/** "cannot be used: too small ..."; "" for a face that can. */
export function problemWords(face) {
  return face.usable ? "" : `cannot be used: ${(face.quality?.problems ?? []).join("; ") || "poor picture"}`;
}

/**
 * Lay numbered boxes over a picture of `width` x `height` pixels. `faces`: [{number, label, uncertain, usable, box}].
 * Positions are shares of the picture, so they stay right at every size.
 */
export function drawBoxes(layer, { width, height, faces, colours, mirrored = false }) {
  layer.replaceChildren(...faces.map((face) => {
    let [left, top, right, bottom] = face.box;
    if (mirrored) [left, right] = [width - right, width - left];
    const words = faces.length > CROWD ? String(face.number ?? "") : `${face.number ?? ""} ${face.label}${face.uncertain ? "?" : ""}`;
    const tag = el("span", { class: "tag" }, words);
    tag.style.background = colours[face.label];
    tag.style.color = inkOn(colours[face.label]);
    const box = el("div", { class: "box" }, tag);
    box.classList.toggle("useless", !face.usable);
    box.classList.toggle("high", top < 0.09 * height); // no room above: the tag goes inside
    box.classList.toggle("right", left > 0.72 * width);
    Object.assign(box.style, {
      left: share(left, width), top: share(top, height),
      width: share(right - left, width), height: share(bottom - top, height), borderColor: colours[face.label],
    });
    return box;
  }));
}

const share = (part, whole) => `${(100 * part) / whole}%`;

/** One line of the table: expression, bar, per cent. */
function barRow(name, i) {
  const [fill, value] = [el("span", { class: "fill" }), el("td", { class: "value" })];
  fill.style.background = labelColour(i);
  const rail = el("td", { class: "rail", "aria-hidden": "true" }, el("span", { class: "track" }, fill));
  const node = el("tr", {}, el("th", { scope: "row" }, name), rail, value);
  return {
    node,
    update(p, best) {
      fill.style.transform = `scaleX(${p})`;
      setText(value, percent(p));
      node.classList.toggle("best", best);
    },
  };
}

/** A small picture with its caption, away while there is none. An answer without pictures leaves the last one. */
function tile(caption, alt) {
  const picture = el("img", { alt, width: 96, height: 96 });
  const node = el("figure", { class: "tile", hidden: true }, picture, el("figcaption", {}, caption));
  return {
    node,
    update(address) {
      if (address === undefined) return;
      node.hidden = address === null;
      if (address) picture.src = address;
    },
  };
}
