"""A table of frames and the same coding in every format that coders use."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np

LABELS = ("angry", "happy", "neutral")

# start, end, label: of 12 seconds; the last second is not coded
CODED = [(0.0, 2.0, "neutral"), (2.0, 5.0, "happy"), (5.0, 8.0, "angry"), (8.0, 11.0, "neutral")]


def write_table(path: Path, said, *, rate: float = 10.0, tracks=None, unsure=(), unusable=(), gone=()) -> Path:
    """A table as mien video writes it, as far as it is read here: one frame for each of the labels ``said``."""
    names = ["time", "frame", "face", "track", "outcome", "label", "confidence", *LABELS, "uncertain", "raw_label"]
    with path.open("w", newline="", encoding="utf-8") as file:
        out = csv.DictWriter(file, [*names, "usable"])
        out.writeheader()
        for i, label in enumerate(said):
            base = {"time": round(i / rate, 4), "frame": i}
            if i in gone:
                out.writerow({**base, "face": 0, "outcome": "no face"})
                continue
            outcome = "unusable" if i in unusable else "faces"
            told = {
                "face": 1,
                "track": tracks[i] if tracks else 1,
                "outcome": outcome,
                "label": label,
                "confidence": 0.9,
            }
            sure = {"uncertain": int(i in unsure), "usable": int(i not in unusable), "raw_label": label}
            out.writerow({**base, **told, **sure, **{name: 0.9 if name == label else 0.05 for name in LABELS}})
    return path


def at(times, coded=CODED):
    """The coded label of each moment, "" where there is none."""
    return [next((label for start, end, label in coded if start <= t < end), "") for t in np.round(times, 6)]


def write_sheet(path: Path, coded=CODED, head=("start", "end", "label"), delimiter=",") -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=delimiter).writerows([head, *coded])
    return path


def write_eaf(path: Path, tiers) -> Path:
    import pympi

    eaf = pympi.Elan.Eaf()
    eaf.remove_tier("default")
    for name, coded in tiers.items():
        eaf.add_tier(name)
        for start, end, label in coded:
            eaf.add_annotation(name, round(1000 * start), round(1000 * end), label)
    eaf.to_file(str(path))
    return path


def write_textgrid(path: Path, tiers, *, codec="utf-8", mode="normal") -> Path:
    import pympi

    grid = pympi.Praat.TextGrid(xmax=20.0)
    for name, coded in tiers.items():
        tier = grid.add_tier(name)
        for start, end, label in coded:
            tier.add_interval(start, end, label)
    grid.to_file(str(path), codec=codec, mode=mode)
    return path


def write_boris(path: Path, observations) -> Path:
    """Observation -> subject -> coded; every event is one row, as BORIS 7 has them."""
    codes = sorted({c for o in observations.values() for coded in o.values() for _, _, c in coded})
    conf = {str(i): {"type": "State event", "code": code, "key": code[0]} for i, code in enumerate(codes)}
    conf["99"] = {"type": "Point event", "code": "blink", "key": "b"}
    told = {}
    for name, subjects in observations.items():
        events = [[t, who, c, "", ""] for who, coded in subjects.items() for s, e, c in coded for t in (s, e)]
        told[name] = {"events": sorted(events), "type": "MEDIA", "time offset": 0.0}
    project = {"project_format_version": "7.0", "behaviors_conf": conf, "observations": told}
    path.write_text(json.dumps(project), encoding="utf-8")
    return path
