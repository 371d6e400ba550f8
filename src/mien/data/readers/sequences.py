"""CK+ as it is handed out: picture sequences from neutral to peak, and one code for some of them.

``cohn-kanade-images/S005/001/S005_001_00000011.png`` and ``Emotion/S005/001/S005_001_00000011_emotion.txt``, which
holds one number, ``   3.0000000e+00``: 0 neutral, 1 anger, 2 contempt, 3 disgust, 4 fear, 5 happy, 6 sadness, 7
surprise. Of 593 sequences 327 have a code (Lucey et al. 2010, CVPR workshops).

The usual protocol, kept here: of each sequence with a code the last three frames, where the expression peaks, get the
code, and the first frame is neutral. The neutral frames are always included, and contempt is a class of its own, so
all of CK+ has FER+'s eight classes. The frames between, and sequences without a code, are left out and counted in the
notes. A sequence of fewer than four frames gives its first as neutral and those that are left as peaks; a single frame
is a peak. Leaves out: FACS codes and landmarks, which some copies hold beside these.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath

from mien.data.readers.pictures import Picture, Plan, plan_of
from mien.data.readers.problems import Problems
from mien.errors import DataError

__all__ = ["CODE_BYTES", "is_code", "plan_sequences"]

#: The most bytes that are read of a file with a code.
CODE_BYTES = 4096

_PEAKS = 3
_CODES = ("neutral", "angry", "contempt", "disgust", "fear", "happy", "sad", "surprise")
_NAME = re.compile(r"(?:.*/)?(S\d{3})/(\d{3})/\1_\2_(\d{8})", re.IGNORECASE)
_CODE_END = "_emotion.txt"
_TWICE = "belongs to a sequence that is there twice; take one out"
_STRAY = (
    "does not follow the layout of the other pictures, CK+'s S005/001/S005_001_00000011.png, so nobody knows who it "
    "shows: rename it or take it out"
)

_Key = tuple[str, str]  # subject, sequence: ("S005", "001")


def is_code(name: str) -> bool:
    """Whether a file's name claims the code of a sequence."""
    return name.lower().endswith(_CODE_END)


def plan_sequences(
    paths: Sequence[PurePosixPath], codes: Mapping[str, bytes | DataError], where: str, problems: Problems
) -> tuple[Plan, tuple[str, ...]] | None:
    """The plan of CK+'s sequences, and notes; ``None`` where most of the pictures ``paths`` are no frames of such.

    Frames that do not follow the rule for names, codes that cannot be read or lie outside 0..7, and codes without
    frames go to ``problems``. Raises :class:`DataError` where no sequence has a code.
    """
    named = {p for p in paths if _NAME.fullmatch(str(p)[: -len(p.suffix)])}
    if 2 * len(named) <= len(paths):
        return None
    frames = _frames(named)
    kept = {p for found in frames.values() for p in found}
    for path in paths:
        if path not in kept:
            problems.report(_TWICE if path in named else _STRAY, f"{where}/{path}")
    words, last = _words(codes, where, problems)
    for key in sorted(set(words) - set(frames)):
        problems.report("has a code but no frames; add them or remove the code", f"{where}/{'/'.join(key)}")
    coded = {k: frames[k] for k in sorted(frames) if k in words}
    if not coded:
        raise DataError(
            f"holds {len(frames)} sequences of CK+ and no code for any of them; give the folder or archive that holds "
            "both cohn-kanade-images/ and Emotion/",
            where,
        )
    pictures = [
        Picture(str(path), word, subject=key[0])
        for key, found in coded.items()
        for path, word in _labelled(found, words[key])
    ]
    cut = sum(found[-1].stem.upper() != last[key] for key, found in coded.items())
    return plan_of(pictures), _notes(len(coded), len(frames), cut)


def _frames(named: Iterable[PurePosixPath]) -> dict[_Key, list[PurePosixPath]]:
    """The frames of each sequence in order; of a sequence that is there twice only the first folder's."""
    found: dict[_Key, list[PurePosixPath]] = {}
    for path in sorted(named, key=lambda p: (p.parts[:-1], p.stem.upper(), p.name)):
        subject, number, _ = path.stem.upper().split("_")
        frames = found.setdefault((subject, number), [])
        if not frames or (frames[-1].parent == path.parent and frames[-1].stem != path.stem):
            frames.append(path)
    return found


def _labelled(frames: list[PurePosixPath], word: str) -> list[tuple[PurePosixPath, str]]:
    """The frames that are kept, each with its expression."""
    if len(frames) == 1:
        return [(frames[0], word)]
    return [(frames[0], "neutral"), *((f, word) for f in frames[1:][-_PEAKS:])]


def _words(
    codes: Mapping[str, bytes | DataError], where: str, problems: Problems
) -> tuple[dict[_Key, str], dict[_Key, str]]:
    """The expression of each sequence, and the frame that its code names."""
    words: dict[_Key, str] = {}
    last: dict[_Key, str] = {}
    for name in sorted(codes):
        match = _NAME.fullmatch(name[: -len(_CODE_END)])
        try:
            if not match:
                raise DataError("does not follow Emotion/S005/001/S005_001_00000011_emotion.txt; rename or remove it")
            key, word = (match[1].upper(), match[2]), _word(codes[name])
            if words.setdefault(key, word) != word:
                raise DataError(f"says {word} where another code of the sequence says {words[key]}; remove one")
            last.setdefault(key, f"{match[1]}_{match[2]}_{match[3]}".upper())
        except DataError as error:
            fault = error.message
        else:
            continue
        problems.report(fault, f"{where}/{name}")
    return words, last


def _word(content: bytes | DataError) -> str:
    """The expression for the content of a code; a :class:`DataError` says what is wrong with it."""
    if isinstance(content, DataError):
        raise content
    text = content.decode("ascii", "replace").strip()
    try:
        code = float(text)
    except ValueError:
        code = -1.0
    if code not in range(len(_CODES)):
        raise DataError(
            f"the code is {text[:24]!r}; it must be one of 0..7 (0 neutral, 1 anger, 2 contempt, 3 disgust, 4 fear, "
            "5 happy, 6 sadness, 7 surprise): correct or remove the file"
        )
    return _CODES[int(code)]


def _notes(coded: int, all_: int, cut: int) -> tuple[str, ...]:
    notes = [
        f"read as CK+ sequences: {coded} with a code, the first frame of each as neutral and the last three as the "
        f"code; left out: the frames between, and {all_ - coded} sequences without a code"
    ]
    if cut:
        notes.append(f"the code of {cut} sequences names another frame than the last; frames may be missing there")
    return tuple(notes)
