"""Coded recordings for Praat: a TextGrid in its long text format, an interval tier a person and one for their gaps.

Written here: pympi's writer does not escape the names of tiers. Source of the format: Praat's manual, "TextGrid file
formats". Leaves out: the other formats (``exports``).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mien.study.spans import CodedRecording, Tier, plain

__all__ = ["write_textgrid"]


def write_textgrid(path: Path, coded: CodedRecording) -> None:
    """Write ``path``; what lies between spans is an interval without text."""
    tiers = list(coded.tiers())
    end = max([1, round(coded.end * 1000), *(t.spans[-1][1] for t in tiers if t.spans)])
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0", f"xmax = {_seconds(end)}"]
    lines += ["tiers? <exists>", f"size = {len(tiers)}", "item []:"]
    for number, tier in enumerate(tiers, start=1):
        lines += _tier(number, tier, end)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _tier(number: int, tier: Tier, end: int) -> list[str]:
    intervals = list(_filled(tier, end))
    lines = [f"    item [{number}]:", '        class = "IntervalTier"', f"        name = {_quoted(tier.name)}"]
    lines += ["        xmin = 0", f"        xmax = {_seconds(end)}", f"        intervals: size = {len(intervals)}"]
    for i, (start, stop, text) in enumerate(intervals, start=1):
        lines += [f"        intervals [{i}]:", f"            xmin = {_seconds(start)}"]
        lines += [f"            xmax = {_seconds(stop)}", f"            text = {_quoted(text)}"]
    return lines


def _filled(tier: Tier, end: int) -> Iterator[tuple[int, int, str]]:
    """The spans and what lies between them, without holes from 0 to ``end``."""
    now = 0
    for start, stop, span in tier.spans:
        if start > now:
            yield now, start, ""
        yield start, stop, span.label
        now = stop
    if now < end:
        yield now, end, ""


def _seconds(milliseconds: int) -> str:
    return f"{milliseconds / 1000:.3f}"


def _quoted(text: str) -> str:
    return '"{}"'.format(plain(text).replace('"', '""'))
