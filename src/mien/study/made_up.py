"""A made-up study: films of drawn people and the design that goes with them, to learn on, and to try a set-up.

Everybody rests, then sees a funny and a sad clip, twice each; half begin with the funny ones. Most of them smile at the
funny clips, some look sad at the sad ones; one hides their face for most of the time, one film cannot be read.
Leaves out: drawing (``data.synthetic.films``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mien.data.synthetic.films import Shown, film
from mien.files import check_writable, replace_file
from mien.results.cells import csv_line
from mien.video import VideoWriter

__all__ = ["make_study"]

_HEAD = ("recording", "participant", "condition", "stimulus", "start", "end", "baseline")
_CLIPS = {"funny": ("cat", "slide"), "sad": ("farewell", "rain")}
_SHOWS = {"funny": "happy", "sad": "sad"}
_PAUSE = 1.0  # seconds before each clip


@dataclass(frozen=True)
class _Clip:
    condition: str
    stimulus: str
    start: float
    end: float


def make_study(
    folder: Path,
    *,
    participants: int = 12,
    seconds: float = 4.0,
    rate: float = 12.0,
    seed: int = 0,
    tell: Callable[[int], None] = lambda _: None,
) -> Path:
    """Write ``films/`` and ``design.csv`` into ``folder``; the path of the design.

    participants  at least 2; where there are 6 or more, the last but one hides their face in most of their film, and
                  there is one more film, of somebody else, that is damaged
    seconds       that each clip and the rest last
    tell          gets the number of films that are done
    """
    films = folder / "films"
    check_writable(films)
    lines = [csv_line(_HEAD)]
    for number in range(participants):
        name = f"p{number + 1:02}"
        clips = list(_clips(number, seconds))
        away = (seconds, clips[-1].end - 0.3 * seconds) if participants >= 6 and number == participants - 2 else None
        shown = list(_reactions(clips, np.random.default_rng([seed, 5, number])))
        frames = film(shown, clips[-1].end + 0.5, seed=1000 * seed + number, rate=rate, away=away)
        with VideoWriter(films / f"{name}.mp4") as video:
            for i, picture in enumerate(frames):
                video.write(picture, i / rate)
        path = f"films/{name}.mp4"
        lines.append(csv_line((path, name, None, None, 0, seconds, "yes")))
        lines += [csv_line((path, name, c.condition, c.stimulus, c.start, c.end, None)) for c in clips]
        tell(number + 1)
    if participants >= 6:
        name = f"p{participants + 1:02}"
        replace_file(films / f"{name}.mp4", lambda p: p.write_bytes(b"the disk of the camera was full"))
        lines.append(csv_line((f"films/{name}.mp4", name, "funny", "cat", seconds, 2 * seconds, None)))
    design = folder / "design.csv"
    replace_file(design, lambda p: p.write_text("".join(lines), encoding="utf-8"))
    return design


def _clips(number: int, seconds: float) -> Iterator[_Clip]:
    """The clips behind the rest, one condition and the other in turn."""
    order = ("funny", "sad") if number % 2 == 0 else ("sad", "funny")
    start = seconds
    for i in range(2):
        for condition in order:
            start += _PAUSE
            yield _Clip(condition, _CLIPS[condition][i], start, start + seconds)
            start += seconds


def _reactions(clips: list[_Clip], rng: np.random.Generator) -> Iterator[Shown]:
    """Nine in ten react to a funny clip, half to a sad one; after a moment of their own, and not until its end."""
    for clip in clips:
        reacts = rng.random() < (0.9 if clip.condition == "funny" else 0.5)
        late, early = rng.uniform(0.15, 0.35), rng.uniform(0.0, 0.2)
        if reacts:
            span = clip.end - clip.start
            strength = rng.uniform(0.75, 1.0)
            yield Shown(_SHOWS[clip.condition], clip.start + late * span, clip.end - early * span, strength)
