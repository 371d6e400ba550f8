"""The CSV files of the FER2013 family: one face a row, its pixels as numbers between blanks.

Read alike: ``fer2013.csv`` (emotion,pixels,Usage), ``icml_face_data.csv`` (emotion, Usage, pixels), ``train.csv``
(emotion,pixels), ``test.csv`` (pixels), other column orders, and files without a header. Leaves out: opening and
unpacking (``archives``), votes (``votes``). Source of the format: Goodfellow et al. 2013, arXiv 1307.0414.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from math import isqrt

import numpy as np
from numpy.typing import NDArray

from mien.data.dataset import FaceDataset
from mien.data.readers.archives import BROKEN, reason
from mien.data.readers.classes import NUMBERED
from mien.data.readers.problems import Problems
from mien.data.readers.text import as_utf8
from mien.errors import DataError
from mien.labels import FER2013, FERPLUS, canonical

__all__ = ["Layout", "read_csv", "sniff"]

MAX_LINE = 4 << 20  # bytes; a face of 1024 x 1024 pixels
_LOOKAHEAD = 16  # rows that vote on the image size, so that one bad first row does not decide it
_WORDS = {
    "pixels": ("pixels", "pixel", "pixel values"),
    "label": ("emotion", "label", "class", "expression"),
    "usage": ("usage", "split"),
}
_DIGITS = b"0123456789 "


@dataclass(frozen=True)
class Layout:
    """Which column holds what; ``label`` and ``usage`` are ``None`` where the file has no such column."""

    header: bool
    delimiter: bytes
    columns: int
    pixels: int
    label: int | None
    usage: int | None

    @property
    def rank(self) -> int:
        """How complete the layout is: 2 labels and splits, 1 labels, 0 pixels only."""
        return 0 if self.label is None else 1 if self.usage is None else 2


def sniff(first: bytes, where: str) -> Layout:
    """The layout of a file from its first line; raises :class:`DataError` where it is none of the FER2013 family."""
    first = first.rstrip(b"\r\n")
    if not _is_text(first):
        raise DataError(
            "is no CSV text; DATA may be a CSV of the FER2013 family (plain, gzip, zip or tar), a folder or archive "
            "of pictures in <split>/<class>/, Parquet, or 'synthetic'",
            where,
        )
    delimiter = max((b",", b";", b"\t"), key=first.count)
    fields = _split(first, delimiter)
    if any(_numbers(f) >= 16 for f in fields):
        return _by_content(fields, delimiter, where)
    return _by_name([f.decode("utf-8", "replace").strip().lower() for f in fields], delimiter, where)


def _is_text(line: bytes) -> bool:
    try:
        return all(c.isprintable() or c == "\t" for c in line.decode("utf-8"))
    except UnicodeDecodeError:
        return False


def _by_name(names: list[str], delimiter: bytes, where: str) -> Layout:
    if "nf" in names and "neutral" in names:
        raise DataError("holds FER+ votes, not faces; give fer2013.csv as DATA and this file as the votes", where)
    found = {}
    for column, words in _WORDS.items():
        at = [i for i, name in enumerate(names) if name in words]
        if len(at) > 1:
            raise DataError(f"line 1 names the column {names[at[0]]!r} twice; keep one", where)
        found[column] = at[0] if at else None
    if found["pixels"] is None:
        shown = ", ".join(repr(n[:30]) for n in names[:8])
        raise DataError(
            f"line 1 has no column 'pixels' but {shown}; the columns must be emotion,pixels,Usage (the last two in any "
            "order, emotion and Usage may be missing)",
            where,
        )
    return Layout(True, delimiter, len(names), found["pixels"], found["label"], found["usage"])


def _by_content(fields: list[bytes], delimiter: bytes, where: str) -> Layout:
    counts = [_numbers(f) for f in fields]
    pixels = counts.index(max(counts))
    label = usage = None
    for i, text in enumerate(fields):
        if i == pixels:
            continue
        if label is None and _label(text) is not None:
            label = i
        elif usage is None and text.strip():
            usage = i
        else:
            raise DataError(
                f"line 1 is no header, and column {i + 1} ({_show(text)}) is neither pixels, a label nor a split; "
                "add the header emotion,pixels,Usage",
                where,
            )
    return Layout(False, delimiter, len(fields), pixels, label, usage)


def read_csv(stream: io.BufferedReader, where: str, problems: Problems) -> tuple[FaceDataset, tuple[str, ...]]:
    """Every face of an open CSV, in order, and notes; ``rows`` counts the data rows, bad ones too.

    Images are square; their size is that of most of the first 16 rows. Labels are FER2013's, and 7 is contempt, as CK+
    is handed on in this layout: with it the classes are FER+'s eight, in their order. Bad rows go to ``problems`` as
    ``file:line``; a stream that breaks off counts as one problem there.
    """
    lines = _lines(as_utf8(stream), where, problems)
    first = next(lines, None)
    if first is None:
        raise problems.nothing_left(where)
    layout = sniff(first[1], where)
    ahead = [] if layout.header else [first]
    for pair in lines:
        ahead.append(pair)
        if len(ahead) >= _LOOKAHEAD:
            break
    rows = _Rows(layout, _side(ahead, layout, where))
    for number, (line, text) in enumerate(_chain(ahead, lines)):
        fault = rows.add(number, text)
        if fault:
            problems.report(fault, f"{where}:{line}")
    if not rows.rows:
        raise problems.nothing_left(where)
    return rows.dataset(where)


def _lines(stream: io.BufferedReader, where: str, problems: Problems) -> Iterator[tuple[int, bytes]]:
    """``(line number from 1, text without its end)`` of every line that is not blank."""
    line = 0
    try:
        while text := stream.readline(MAX_LINE):
            line += 1
            if len(text) == MAX_LINE:
                raise DataError(
                    f"the line is longer than {MAX_LINE:,} bytes; this is no CSV of faces", f"{where}:{line}"
                )
            text = text.rstrip(b"\r\n")
            if text and not text.isspace():
                yield line, text
    except BROKEN as error:
        problems.report(f"reading stopped after this line: {reason(error)}", f"{where}:{line}")


def _chain(a: list[tuple[int, bytes]], b: Iterator[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
    yield from a
    yield from b


def _side(ahead: list[tuple[int, bytes]], layout: Layout, where: str) -> int:
    """The side of the images: the commonest among the first rows that is a square; the earliest of equals."""
    counts: Counter[int] = Counter()
    for _, text in ahead:
        fields = _split(text, layout.delimiter)
        counts[_numbers(fields[layout.pixels]) if len(fields) == layout.columns else 0] += 1
    del counts[0]
    squares = [(n, count) for count, n in counts.items() if isqrt(count) ** 2 == count]
    if counts and not squares:
        raise DataError(
            f"the first rows have {counts.most_common(1)[0][0]:,} pixels, which make no square, and a table does not "
            "say how wide its faces are: give faces of another shape as pictures in <class>/ folders",
            where,
        )
    return isqrt(max(squares, key=lambda found: found[0])[1]) if squares else 48


class _Rows:
    """The rows read so far; ``add`` says what is wrong with a row, or keeps it."""

    def __init__(self, layout: Layout, side: int) -> None:
        self.layout, self.side = layout, side
        self.pixels = bytearray()
        self.labels: list[int] = []
        self.splits: list[str] = []
        self.rows: list[int] = []

    def add(self, number: int, text: bytes) -> str:
        layout = self.layout
        fields = _split(text, layout.delimiter)
        if len(fields) != layout.columns:
            return f"has {len(fields)} columns where {layout.columns} are expected"
        label = None
        if layout.label is not None and (label := _label(fields[layout.label])) is None:
            shown = _show(fields[layout.label])
            return f"the label is {shown}; it must be 0..7 or one of {', '.join(NUMBERED)}: correct or remove the row"
        try:
            split = "" if layout.usage is None else fields[layout.usage].decode("utf-8").strip()
        except UnicodeDecodeError:
            return f"the split is {_show(fields[layout.usage or 0])}, which is not UTF-8"
        row = _pixels(fields[layout.pixels], self.side**2)
        if isinstance(row, str):
            return row
        self.pixels += row.tobytes()
        self.rows.append(number)
        self.splits.append(split)
        if label is not None:
            self.labels.append(label)
        return ""

    def dataset(self, source: str) -> tuple[FaceDataset, tuple[str, ...]]:
        labels = None if self.layout.label is None else np.array(self.labels, dtype=np.int64)
        names, note = FER2013.names, ""
        if labels is not None and (eighth := int((labels == len(FER2013)).sum())):
            names = FERPLUS.names
            labels = np.array([names.index(n) for n in NUMBERED], dtype=np.int64)[labels]
            note = f"label 7 is taken for contempt ({eighth:,} rows): eight classes, in the order {', '.join(names)}"
        faces = FaceDataset(
            images=np.frombuffer(self.pixels, dtype=np.uint8).reshape(-1, self.side, self.side),
            names=names,
            labels=labels,
            split=np.array(self.splits, dtype=np.str_),
            rows=np.array(self.rows, dtype=np.int64),
            source=source,
        )
        return faces, (note,) if note else ()


def _pixels(text: bytes, count: int) -> NDArray[np.uint8] | str:
    """``count`` pixels, or what is wrong with them.

    ``np.fromstring`` is the fastest reader at hand but wraps, clips or stops at what it cannot read, so everything that
    is no digit or blank is refused first, and numbers are read wide enough to see one that is too large.
    """
    if text.translate(None, _DIGITS) or not text.strip():
        return _fault(text, count)
    values = np.fromstring(text, dtype=np.int64, sep=" ")
    if len(values) != count or values.max() > 255:
        return _fault(text, count)
    return values.astype(np.uint8)


def _fault(text: bytes, count: int) -> str:
    tokens = text.split()
    for i, token in enumerate(tokens):
        if not token.isdigit() or len(token.lstrip(b"0")) > 3 or int(token) > 255:
            return f"pixel {i + 1} is {_show(token)}; it must be an integer in 0..255: correct or remove the row"
    side = isqrt(count)
    return f"has {len(tokens):,} pixels; it must have {count:,} ({side} x {side}) like the other rows: remove the row"


def _split(text: bytes, delimiter: bytes) -> list[bytes]:
    if b'"' in text:  # pixels hold blanks, never the delimiter, so quotes carry nothing
        text = text.replace(b'"', b"")
    return text.split(delimiter)


def _numbers(text: bytes) -> int:
    """How many numbers a field of pixels holds; 0 where most of it is something else."""
    tokens = text.split()
    digits = sum(t.isdigit() for t in tokens)
    return len(tokens) if digits * 2 > len(tokens) else 0


def _label(text: bytes) -> int | None:
    """The class number of a label: ``b"3"``, ``b"3.0"`` or a word for an expression; ``None`` for anything else."""
    if text in _CLASSES:
        return _CLASSES[text]
    word = text.decode("utf-8", "replace").strip().removesuffix(".0")
    return _CLASSES.get(canonical(word).encode())


_CLASSES = {w.encode(): i for i, name in enumerate(NUMBERED) for w in (str(i), name)}


def _show(text: bytes) -> str:
    shown = text[:24].decode("utf-8", "replace")
    return repr(shown) + ("..." if len(text) > 24 else "")
