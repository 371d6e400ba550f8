/* Elements, colours that can be read, and files to save. Text only ever goes in as text: file names are not trusted.
   Leaves out: anything about faces. */

/** An element with properties and children; `class`, `aria-*`, `role` and `scope` become attributes. */
export function el(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(properties)) {
    if (key === "class" || key === "role" || key === "scope" || key.startsWith("aria-")) node.setAttribute(key, value);
    else node[key] = value;
  }
  node.append(...children);
  return node;
}

/** Set text only where it changes, so that nothing is laid out or read out again for nothing. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** 0.934 -> "93 %". */
export const percent = (p) => `${Math.round(100 * p)} %`;

/** Black or white, whichever can be read on `hex`: one of them always reaches 4.5 to 1. */
export const inkOn = (hex) => (contrast(rgb(hex), [0, 0, 0]) > contrast(rgb(hex), [255, 255, 255]) ? "#000" : "#fff");

/** `hex`, darkened or lightened until it stands out from `ground` ("rgb(...)") by 3 to 1. */
export function visibleOn(hex, ground) {
  const under = ground.match(/[\d.]+/g).slice(0, 3).map(Number);
  const towards = luminance(under) > 0.4 ? 0 : 255;
  const colour = rgb(hex);
  for (let share = 0; share <= 1; share += 0.04) {
    const mixed = colour.map((c) => Math.round(c + (towards - c) * share));
    if (contrast(mixed, under) >= 3) return `rgb(${mixed.join(", ")})`;
  }
  return `rgb(${towards}, ${towards}, ${towards})`;
}

/** Rows of cells -> CSV. Text that a spreadsheet would take for a formula is marked as text, as in `mien.results.cells`. */
export function csv(rows) {
  const cell = (value) => {
    let text = String(value ?? "");
    if (typeof value === "string" && /^'*[=+\-@\t\r\n]/.test(text)) text = `'${text}`;
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return rows.map((row) => row.map(cell).join(",") + "\n").join("");
}

/** Let the browser save a file that is made here; nothing leaves the computer. */
export function save(name, type, text) {
  const address = URL.createObjectURL(new Blob([text], { type }));
  el("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

const rgb = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));

/** Relative luminance and contrast as WCAG 2 defines them. */
function luminance(colour) {
  const [r, g, b] = colour.map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(a, b) {
  const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (high + 0.05) / (low + 0.05);
}
