"""Coded recordings for BORIS: a project with one observation, in version 7.0 of its JSON format.

Persons are subjects, labels and gaps are state events with a start and a stop each. Written from what such a project
looks like and from the user's guide; no code of BORIS, which is under the GPL. Leaves out: the other formats.
"""

from __future__ import annotations

import json
import os
import string
from datetime import datetime
from pathlib import Path
from typing import Any

from mien.results.cells import printable
from mien.study.spans import CodedRecording, plain
from mien.video.stretches import STRETCHES

__all__ = ["write_boris"]

_PLAYERS = 8
_KEYS = string.ascii_lowercase + string.digits


def write_boris(path: Path, coded: CodedRecording) -> None:
    """Write ``path``; the comment of an event is the mean probability of its segment."""
    now = datetime.now().isoformat(timespec="seconds")
    project = {
        "time_format": "hh:mm:ss",
        "project_date": now,
        "project_name": coded.name,
        "project_description": f"coded by mien, model {coded.model}, run {coded.metadata.get('run', '')}",
        "project_format_version": "7.0",
        "subjects_conf": {
            str(i): {"key": _KEYS[i] if i < len(_KEYS) else "", "name": name, "description": "a face that was followed"}
            for i, name in enumerate(coded.persons)
        },
        "behaviors_conf": {str(i): _behaviour(i, *pair) for i, pair in enumerate(_codes(coded))},
        "observations": {coded.name: _observation(coded, now)},
        "behavioral_categories": ["expression", "data"],
        "behavioral_categories_config": {},
        "independent_variables": {},
        "coding_map": {},
        "behaviors_coding_map": [],
        "converters": {},
    }
    path.write_text(json.dumps(project, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def _codes(coded: CodedRecording) -> list[tuple[str, str, str]]:
    """Code, category and description of every behaviour."""
    labels = [(_code(label), "expression", f"most probable expression: {_code(label)}") for label in coded.labels]
    return labels + [(kind, "data", text) for kind, text in STRETCHES.items()]


def _behaviour(i: int, code: str, category: str, description: str) -> dict[str, Any]:
    key = _KEYS[i].upper() if i < len(_KEYS) else ""
    told = {"type": "State event", "key": key, "code": code, "description": description, "color": ""}
    return {**told, "category": category, "modifiers": {}, "excluded": "", "coding map": ""}


def _observation(coded: CodedRecording, now: str) -> dict[str, Any]:
    media = printable(os.path.abspath(coded.source) if os.path.isfile(coded.source) else coded.source)
    files: dict[str, list[str]] = {str(n): [] for n in range(1, _PLAYERS + 1)}
    length = round(coded.end, 3)
    about = {"length": {media: length}, "fps": {media: round(coded.rate, 3)}, "hasVideo": {media: True}}
    return {
        "file": {**files, "1": [media]},
        "type": "MEDIA",
        "date": now,
        "description": f"coded by mien, model {coded.model}",
        "time offset": 0.0,
        "events": _events(coded),
        "observation time interval": [0, 0],
        "independent_variables": {},
        "visualize_spectrogram": False,
        "visualize_waveform": False,
        "media_creation_date_as_offset": False,
        "media_scan_sampling_duration": 0,
        "image_display_duration": 1,
        "close_behaviors_between_videos": False,
        "media_info": {**about, "hasAudio": {media: False}, "offset": {"1": 0.0}},
    }


def _events(coded: CodedRecording) -> list[list[Any]]:
    """Time, subject, behaviour, modifiers, comment, frame (not known), by time; of equal ones stops before starts."""
    rows = []
    for tier in coded.tiers():
        for start, end, span in tier.spans:
            comment = "" if span.probability is None else f"mean probability {span.probability:.4f}"
            for time, order, words in ((start, 1, comment), (end, 0, "")):
                rows.append((time, order, [time / 1000, tier.person, _code(span.label), "", words, "NA"]))
    return [row for _, _, row in sorted(rows, key=lambda r: r[:2])]


def _code(label: str) -> str:
    """A label as a behaviour's code, which may hold no bar: it parts modifiers."""
    return plain(label).replace("|", "/")
