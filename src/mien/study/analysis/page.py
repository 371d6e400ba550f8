"""A study on one HTML page: what was found, the figures, the paragraph, what is missing and what was left out.

Leaves out: the words (``methods``) and the figures (``figures``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mien.reporting.card import LIMITS
from mien.reporting.page import write_page
from mien.study.analysis.analysis import Study
from mien.study.analysis.cells import values
from mien.study.analysis.comparisons import Comparison
from mien.study.analysis.figures import CAPTIONS
from mien.study.analysis.measures import MISSING, Measured, together
from mien.study.analysis.methods import findings, methods, notes, p_words, sources

__all__ = ["comparison_cells", "write_study_page"]

_SHOWN = 200  # exclusions

Table = tuple[list[str], list[list[str]]]


def write_study_page(path: Path, study: Study, figures: Mapping[str, Sequence[Path]], title: str) -> Path:
    """Write the page; ``figures`` as ``draw_figures`` gives them."""
    pictures = {name: next(p for p in paths if p.suffix == ".svg").read_bytes() for name, paths in figures.items()}
    return write_page(
        path,
        "study.html",
        extra="study",
        title=title,
        figures=list(_headline(study)),
        findings=findings(study),
        notes=notes(study),
        pictures=[(name, CAPTIONS[name], pictures[name]) for name in pictures],
        tests=comparison_cells(study),
        measures=_measures(study),
        paragraph=methods(study),
        missing=_missing(study),
        excluded=_excluded(study),
        more=max(0, len(study.exclusions) - _SHOWN),
        problems=[str(p) for p in study.problems],
        limits=LIMITS,
        found=_conditions(study),
    )


def _headline(study: Study) -> list[tuple[str, str, str]]:
    whole = together(list(study.stretches.values()))
    real = sum(c.real(study.options.alpha) or False for c in study.comparisons)
    everybody = len({s.participant for s in study.design.stretches})
    left_out = sum(e.level == "stretch" for e in study.exclusions)
    told = [
        ("Participants", f"{len(study.participants):,}", f"of {everybody:,} in the design"),
        ("Stretches", f"{len(study.stretches) - left_out:,}", f"{left_out:,} left out by rules of their own"),
        ("Time missing", f"{100 * whole.share_missing:.1f} %", f"of {whole.asked / 60:,.1f} minutes"),
        ("Unsure", f"{100 * whole.share_unsure:.1f} %", "of the measured time"),
    ]
    if study.comparisons:
        told.insert(0, ("Differences called real", f"{real:,}", f"of {len(study.comparisons):,} that were tested"))
    return told


def comparison_cells(study: Study) -> Table:
    """Heads and rows of the table of all comparisons."""
    heads = [
        "Label",
        "Measure",
        "Conditions",
        "n",
        "Means",
        "Difference",
        "95 % interval",
        "Effect",
        "p",
        "p, Holm",
        "",
    ]
    return heads, [_test(c, study.options.alpha) for c in study.comparisons]


def _test(c: Comparison, alpha: float) -> list[str]:
    f, factor = c.found, 100 if c.measure in ("share", "mean_probability") else 1

    def cell(value: float | None, by: float = factor, digits: int = 1) -> str:
        return "–" if value is None else f"{by * value:.{digits}f}"

    span = "–" if f.low is None else f"{cell(f.low)} to {cell(f.high)}"
    names = [c.label, c.measure.replace("_", " ") + (", %" if factor == 100 else ""), f"{c.first}, {c.second}"]
    figures = [f"{cell(c.means[0])}, {cell(c.means[1])}", cell(f.difference), span, cell(f.effect, 1, 2)]
    ps = [p_words(p).removeprefix("= ") for p in (f.p, c.p_holm)]
    return [*names, f"{c.participants:,}", *figures, *ps, "real" if c.real(alpha) else f.note]


def _measures(study: Study) -> list[tuple[str, Table]]:
    """For each condition a table: mean over participants of every measure, by label."""
    heads = ["Label", "Share, %", "Probability, %", "Segments a minute", "Latency, s", "Length, s", "shown by"]
    tables = []
    for name in study.conditions:
        cells = [m for key, m in study.by_condition[study.scores].items() if key[1] == name]
        tables.append((f"{name}, n {len(cells):,}", (heads, _label_rows(study, cells))))
    return tables


def _label_rows(study: Study, cells: Sequence[Measured]) -> list[list[str]]:
    found = [values(m) for m in cells]
    rows = []
    for k, label in enumerate(study.labels):
        row = [label]
        for name, factor in (
            ("share", 100),
            ("mean_probability", 100),
            ("segments_per_minute", 1),
            ("latency", 1),
            ("mean_length", 1),
        ):
            told = [float(v[name][k]) for v in found if v[name][k] == v[name][k]]
            row.append(f"{factor * sum(told) / len(told):.1f}" if told else "–")
        rows.append([*row, f"{sum(m.segments[k] > 0 for m in cells):,}"])
    return rows


def _missing(study: Study) -> Table:
    """By condition, of all stretches that could be measured."""
    rows = []
    for name in study.design.conditions():
        parts = [m for s, m in study.stretches.items() if s.condition == name]
        if not parts:
            continue
        m = together(parts)
        why = [f"{100 * v / m.asked:.1f}" if m.asked else "–" for v in m.missing]
        rows.append([name, f"{len(parts):,}", f"{m.asked:,.1f}", f"{100 * m.share_missing:.1f}", *why])
        rows[-1].append(f"{100 * m.share_unsure:.1f}")
    return ["Condition", "Stretches", "Seconds", "Missing, %", *(f"{n}, %" for n in MISSING), "Unsure, %"], rows


def _excluded(study: Study) -> Table:
    rows = []
    for e in study.exclusions[:_SHOWN]:
        broken = "" if e.value is None else f"{e.value:.3g}, limit {e.limit:.3g}" if e.limit is not None else ""
        what = [e.participant, e.condition, e.stimulus, e.recording, "" if e.line is None else str(e.line)]
        rows.append([e.level, *what, e.rule, broken])
    return ["What", "Participant", "Condition", "Stimulus", "Recording", "Line", "Rule", "Value"], rows


def _conditions(study: Study) -> dict[str, Any]:
    o = study.options
    told: dict[str, Any] = {
        "design": study.design.path.name,
        "scores": study.scores,
        "measures that are tested": ", ".join(o.measures),
        "alpha, draws, seed": f"{o.alpha:g}, {o.draws:,}, {o.seed}",
        "width of a bin of the curves": f"{o.bin_width:g} s",
    }
    for i, m in enumerate(sources(study), 1):
        model, detector = dict(m.get("model") or {}), dict(m.get("detector") or {})
        told |= {
            f"run {i}": m.get("run"),
            f"mien, run {i}": m.get("mien"),
            f"network, run {i}": f"{model.get('name')}, SHA-256 {model.get('sha256')}",
            f"detector, run {i}": ", ".join(f"{k} {v}" for k, v in detector.items()),
            f"settings, run {i}": ", ".join(f"{k} {v}" for k, v in dict(m.get("settings") or {}).items()),
        }
    return told
