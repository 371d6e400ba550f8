"""The tables of docs/browser.md, from results/browser.json.

Leaves out: how the figures come about (``bench.browser.agreement``).
"""

from __future__ import annotations

from bench.reporting.records import record_of

__all__ = ["browser_agreement", "browser_detectors", "browser_sizes", "first_load"]

_WHOLE = "ort-wasm-simd-threaded.wasm"
_ALWAYS = ("page", "ort-lean.wasm", "models/centerface")
_FIRST = (*_ALWAYS, "models/mien-nano")
_LARGE = 1e5  # bytes of a part that has a row of its own
_NAMES = {
    "page": "page and package",
    "ort-lean.wasm": "onnxruntime-web, what these networks need of it",
    _WHOLE: "onnxruntime-web, whole",
    "models/centerface": "face detector",
}


def browser_sizes() -> str:
    """What the first visit loads, and what comes when it is asked for."""
    parts = record_of("browser")["sizes"]
    later = [name for name in parts if name not in _FIRST and parts[name]["bytes"] > _LARGE]
    small = [size for name, size in parts.items() if name not in (*_FIRST, *later)]
    page = {key: parts["page"][key] + sum(size[key] for size in small) for key in parts["page"]}
    rows = {**parts, "page": page}
    lines = ["| part | kB | kB, gzip | kB, brotli |", "| --- | --- | --- | --- |"]
    lines += [_size_row(_name(name), rows[name]) for name in _FIRST]
    first = {key: sum(rows[name][key] for name in _FIRST) for key in page}
    lines.append(_size_row("**first load**", first))
    return "\n".join(lines + [_size_row(f"{_name(name)}, when asked for", parts[name]) for name in later])


def first_load(model: str) -> float:
    """What today's page loads before it answers with ``model``: bytes, with gzip."""
    parts = record_of("browser")["sizes"]
    return float(sum(parts[name]["gzip"] for name in (*_ALWAYS, f"models/{model}")))


def _name(part: str) -> str:
    return _NAMES.get(part, f"`{part.removeprefix('models/')}`")


def _size_row(name: str, size: dict[str, int]) -> str:
    return f"| {name} | " + " | ".join(f"{size[key] / 1e3:,.0f}" for key in ("bytes", "gzip", "brotli")) + " |"


def browser_agreement() -> str:
    """How far the browser's side is off, in the units of each."""
    record = record_of("browser")
    whole = record["whole_way"]
    lines = ["| off by | n | median | 95 % | at most |", "| --- | --- | --- | --- | --- |"]
    for key, name, digits in (
        ("box", "box, pixels", 2),
        ("landmark", "landmarks, pixels", 2),
        ("angle", "yaw and pitch, degrees", 1),
        ("grey", "crop, grey values of 255", 0),
        ("probability", "probabilities, `mien-small`, the whole way", 4),
    ):
        lines.append(_spread_row(name, whole[key], digits))
    for model, spread in record["same_crops"].items():
        lines.append(_spread_row(f"probabilities of the same crops, `{model}`", spread, 6))
    told = record["conditions"]
    faces, labels = whole["probability"]["n"], whole["same_label"]
    versions = f"onnxruntime {told['versions']['onnxruntime']} beside onnxruntime-web {told['onnxruntime_web']}"
    note = (
        f"The same number of faces in {whole['same_number_of_faces']} of {whole['pictures']} pictures, the same label "
        f"for {labels} of {faces} faces, and {whole['same_crop']} crops equal to the last bit. Boxes are rounded to a "
        f"quarter of a pixel on both sides, angles to 0.1 here. {versions} in node "
        f"{told['node']}, one thread, {told['processor']}, {told['date']}."
    )
    return "\n".join([*lines, "", note])


def _spread_row(name: str, spread: dict[str, float], digits: int) -> str:
    values = " | ".join(f"{spread[key]:.{digits}f}" for key in ("median", "p95", "max"))
    return f"| {name} | {spread['n']} | {values} |"


def browser_detectors() -> str:
    """The browser's detector: what it finds, and what a look costs in WebAssembly beside the whole one's."""
    record = record_of("browser")
    times = record["detector_ms"]
    lines = ["| detector | of the faces that Python's finds | IoU, median | others | time of a look, Python's = 1 |"]
    lines.append("| --- | --- | --- | --- | --- |")
    for name, found in record["detectors"].items():
        ratio = [times[name][size] / ms for size, ms in times["float32"].items()]
        cells = dict.fromkeys(f"{r:.2f}" for r in (min(ratio), max(ratio)))
        lines.append(
            f"| {name} | {100 * found['found']:.1f} % of {found['faces']} | {found['iou_median']:.3f} "
            f"| {found['faces_that_float_does_not_find']} | {' to '.join(cells)} |"
        )
    told = record["conditions"]
    note = (
        f"Faces of 24 pixels and up, looked for at 640 pixels. Looks at {', '.join(times['float32'])} pixels in turn, "
        f"the least of twelve each, one thread of WebAssembly in node {told['node']}, {told['processor']}, "
        f"{told['date']}, on a machine with much else to do (load {told['load_1min_at_end']:.0f} on {told['cpus']} "
        "cores), hence no milliseconds."
    )
    return "\n".join([*lines, "", note])
