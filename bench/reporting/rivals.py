"""The tables that set mien in the browser beside other libraries, from results/bench_browser.json.

Leaves out: how the figures come about (``bench.browser.rivals``).
"""

from __future__ import annotations

from typing import Any

from bench.reporting.browsers import first_load
from bench.reporting.records import record_of

__all__ = ["browser_beside", "browser_beside_short"]

_SHORT = ("mien-small", "human", "face-api, tiny")
_NAMES = {
    "mien-nano, near": "`mien-nano`, near",
    "mien-nano": "`mien-nano`",
    "mien-small": "`mien-small`",
    "mien-nano, fer2013": "`mien-nano`, its head for these labels",
    "mien-small, fer2013": "`mien-small`, its head for these labels",
    "human": "human",
    "human, no mesh": "human, without its mesh",
    "face-api, SSD": "face-api, SSD MobileNet",
    "face-api, tiny": "face-api, tiny detector",
}


def _of(part: str, name: str) -> dict[str, Any] | None:
    found: dict[str, Any] | None = record_of("bench_browser").get(part, {}).get("libraries", {}).get(name)
    return found


def _cell(value: float | None, form: str, factor: float = 1.0) -> str:
    return "" if value is None else format(value * factor, form)


def browser_beside() -> str:
    """Every library with every figure, and the conditions."""
    frames = record_of("bench_browser")["memory"]["conditions"]["frames"]
    rows = [
        "| | kB to the first answer, gzip | first answer, ms | picture, ms | its detector | its network "
        f"| frame of a video, ms | memory after {frames:,} frames, MB |",
        "|" + " --- |" * 8,
    ]
    for name in _NAMES:
        s, m = _of("speed", name) or {}, _of("memory", name) or {}
        if not s:
            continue
        cells = [_cell(s.get("bytes"), ",.0f", 1e-3)]
        cells += [_cell(s.get(key), ",.0f") for key in ("first_ms", "whole_ms", "detect_ms")]
        cells += [
            _cell(s.get("network_ms"), ".1f"),
            _cell(s.get("frame_ms"), ",.0f"),
            _cell(m.get("bytes"), ",.0f", 1e-6),
        ]
        rows.append(f"| {_NAMES[name]} | {' | '.join(cells)} |")
    rows += ["", "| | faces found | right, of all | right, of those found | network alone, right |", "|" + " --- |" * 5]
    for name in _NAMES:
        a = _of("accuracy", name)
        if a is not None:
            whole, network = a["whole"], a["network"]
            cells = [f"{whole['found']} of {whole['n']}", f"{100 * whole['right']:.1f} %"]
            cells += [f"{100 * whole['right_of_found']:.1f} %", f"{100 * network['right']:.1f} % of {network['n']:,}"]
            rows.append(f"| {_NAMES[name]} | {' | '.join(cells)} |")
    return "\n".join([*rows, "", f"{_rates()} {_conditions()}"])


def _rates() -> str:
    near, usual = (1000 / (_of("speed", name) or {})["frame_ms"] for name in ("mien-nano, near", "mien-nano"))
    return f"So one core keeps up with {near:.0f} frames a second near the camera, and with {usual:.0f} as it is."


def _conditions() -> str:
    record = record_of("bench_browser")
    told, packages = record["speed"]["conditions"], record["packages"]
    names = ", ".join(f"{name} {version}" for name, version in packages.items())
    rounds, memory = told["rounds"], record["memory"]["conditions"]["rounds"]
    return (
        f"{told['chromium'].split(' built')[0]}, {told['processor']}, no graphics processor, one thread: ours on "
        f"onnxruntime-web, the others on TensorFlow.js' WebAssembly, each with the networks of its package ({names}). "
        "Milliseconds are processor time of the page's process, so that the machine's other work "
        f"(load {told['load_1min_at_end']:.0f} on {told['cpus']} cores) is not in them; on a quiet machine about what "
        f"passes. Medians of {rounds} browsers or more, memory of {memory}. One moving face of some 100 pixels in "
        "640x480; a video has 15 frames a second. human looks for one face, its default. Accuracy on faces of "
        "FER2013's PublicTest, drawn by lot, as large and with such a margin as gives each library most faces of "
        f"Training; {told['date']}."
    )


def browser_beside_short() -> str:
    """The same in a sentence, for the first page."""
    speeds, right = ([_of(part, name) or {} for name in _SHORT] for part in ("speed", "accuracy"))

    def listed(form: str, values: list[float]) -> str:
        return " / ".join(format(value, form) for value in values)

    loads = [first_load("mien-small"), *(s["bytes"] for s in speeds[1:])]
    return (
        "In one Chromium, `mien-small` / `@vladmandic/human` / `@vladmandic/face-api` (tiny detector) take "
        f"{listed('.0f', [s['frame_ms'] for s in speeds])} ms of one core for a frame of a video,\n"
        f"load {listed('.1f', [b / 1e6 for b in loads])} MB, and find and name rightly "
        f"{listed('.0f', [100 * r['whole']['right'] for r in right])} % of PublicTest's faces "
        "([docs/browser.md](docs/browser.md))."
    )
