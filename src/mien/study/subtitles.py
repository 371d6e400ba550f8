"""Coded recordings as WebVTT subtitles: what each person shows, and in brackets what is missing, under the film.

Source of the format: W3C, "WebVTT: The Web Video Text Tracks Format". Leaves out: the other formats (``exports``).
"""

from __future__ import annotations

from pathlib import Path

from mien.study.spans import CodedRecording, plain

__all__ = ["write_vtt"]


def write_vtt(path: Path, coded: CodedRecording) -> None:
    """Write ``path``; cues of several persons overlap, each names who is meant."""
    cues = []
    for tier in coded.tiers():
        who = tier.person or "recording"
        for start, end, span in tier.spans:
            said = f"[{span.label}]" if span.gap else f"{span.label} {span.probability:.0%}"
            cues.append((start, end, f"<v {_escaped(who)}>{_escaped(f'{who}: {said}')}</v>"))
    text = "".join(f"\n{_clock(start)} --> {_clock(end)}\n{said}\n" for start, end, said in sorted(cues))
    head = f"WEBVTT\n\nNOTE {_escaped(f'made by mien, model {coded.model}')}\n"
    path.write_text(head + text, encoding="utf-8", newline="\n")


def _clock(milliseconds: int) -> str:
    seconds, left = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{left:03}"


def _escaped(text: str) -> str:
    """Text on one line, without what begins a tag, an entity or an arrow."""
    return plain(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
