"""``mien video --baseline``: from what a user gives to each person's rest, and what is told of it at the end.

Leaves out: the arithmetic (``mien.video.baseline``).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mien.errors import ConfigError, DataError
from mien.wording import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mien.faces import Photo
    from mien.runtime import Predictor
    from mien.video import Rests

__all__ = ["BASELINE", "check_baseline", "make_rests", "rest_notes"]

#: The option.
BASELINE = typer.Option(
    "",
    metavar="START-END|FILE|median",
    help="Add what each face says relative to the person at rest: seconds of this video, a picture or video of their "
    "neutral face, or the median of all frames.",
)

_FEW = 10  # frames


def check_baseline(text: str, out: Path | None) -> None:
    """What can be wrong with the option before a model is opened; nothing where it is not used."""
    from mien.video import parse_baseline

    if not text:
        return
    if out is None:
        raise ConfigError("--baseline adds columns to a table: name it with --out")
    found = parse_baseline(text)
    if isinstance(found, str) and found != "median" and not Path(found).is_file():
        raise ConfigError(f"--baseline must be START-END in seconds, median or a file, and {found!r} is no file")


def make_rests(text: str, predictor: Predictor) -> Rests | None:
    """The baseline that the option names; None without."""
    import numpy as np

    from mien.video import Rests, parse_baseline

    if not text:
        return None
    how = parse_baseline(text)
    if not isinstance(how, str) or how == "median":
        return Rests(predictor.spec.labels, how)
    faces = list(_only_person(Path(how), _photos(Path(how), predictor)))
    if not faces:
        raise ConfigError(f"--baseline {how}: no usable face in it")
    return Rests(predictor.spec.labels, np.array(faces, np.float64))


def _photos(path: Path, predictor: Predictor) -> Iterable[Photo]:
    try:
        return [predictor.predict(path)]
    except DataError:
        return predictor.predict_video(path, smooth=0)


def _only_person(path: Path, photos: Iterable[Photo]) -> Iterable[list[float]]:
    for photo in photos:
        usable = [face for face in photo if face.usable]
        if len(usable) > 1:
            when = "" if photo.time is None else f" at {photo.time:.2f} s"
            raise ConfigError(f"--baseline {path}: {len(usable)} faces{when}; it must show one person")
        yield from ([*face.probabilities.values()] for face in usable)


def rest_notes(rests: Rests | None) -> Iterator[str]:
    """Whose rest is known and from how many frames, and who has none."""
    if rests is None:
        return
    told = rests.to_dict()
    for track, person in told["persons"].items():
        few = ": few" if person["frames"] < _FEW else ""
        label = max(person["rest"], key=person["rest"].__getitem__)
        yield f"baseline: track {track} from {counted(person['frames'], 'frame')}, read as {label}{few}"
    for track in told["without"]:
        yield f"baseline: track {track} has no usable frame in it: its relative columns are empty"
