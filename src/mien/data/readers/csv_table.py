"""The CSV files of the FER2013 family: one face a row, its pixels as numbers between blanks.

Read alike: ``fer2013.csv`` (emotion,pixels,Usage), ``icml_face_data.csv`` (emotion, Usage, pixels), ``train.csv``
(emotion,pixels), ``test.csv`` (pixels), other column orders, and files without a header. Leaves out: which column is
which (``csv_layout``), opening and unpacking (``archives``), votes (``votes``). Source of the format: Goodfellow et al.
2013, arXiv 1307.0414.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator
from math import isqrt

import numpy as np
from numpy.typing import NDArray

from mien.data.dataset import FaceDataset
from mien.data.readers.archives import BROKEN, reason
from mien.data.readers.classes import NUMBERED
from mien.data.readers.csv_layout import Layout, class_number, count_numbers, shown, sniff, split_fields
from mien.data.readers.problems import Problems
from mien.data.readers.text import as_utf8
from mien.errors import DataError
from mien.labels import FER2013, FERPLUS
from mien.wording import counted

__all__ = ["MAX_LINE", "read_csv"]

MAX_LINE = 4 << 20  # bytes; a face of 1024 x 1024 pixels
_LOOKAHEAD = 16  # rows that vote on the image size, so that one bad first row does not decide it
_DIGITS = b"0123456789 "


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
        fields = split_fields(text, layout.delimiter)
        counts[count_numbers(fields[layout.pixels]) if len(fields) == layout.columns else 0] += 1
    del counts[0]
    squares = [(n, count) for count, n in counts.items() if isqrt(count) ** 2 == count]
    if counts and not squares:
        raise DataError(
            f"the first rows have {counts.most_common(1)[0][0]:,} pixels, which make no square, and a table does not "
            "say how wide its faces are: give faces of another shape as pictures in <class>/ folders",
            where,
        )
    return isqrt(max(squares, key=lambda found: found[0])[1]) if squares else 48


# FER2013's splits, however a copy writes them
_OFFICIAL = {name.lower(): name for name in ("Training", "PublicTest", "PrivateTest")}


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
        fields = split_fields(text, layout.delimiter)
        if len(fields) != layout.columns:
            return f"has {len(fields)} columns where {layout.columns} are expected"
        label = None
        if layout.label is not None and (label := class_number(fields[layout.label])) is None:
            found = shown(fields[layout.label])
            return f"the label is {found}; it must be 0..7 or one of {', '.join(NUMBERED)}: correct or remove the row"
        try:
            split = "" if layout.usage is None else fields[layout.usage].decode("utf-8").strip()
        except UnicodeDecodeError:
            return f"the split is {shown(fields[layout.usage or 0])}, which is not UTF-8"
        split = _OFFICIAL.get(split.lower(), split)
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
            rows = counted(eighth, "row")
            note = f"label 7 is taken for contempt ({rows}): eight classes, in the order {', '.join(names)}"
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
            return f"pixel {i + 1} is {shown(token)}; it must be an integer in 0..255: correct or remove the row"
    side = isqrt(count)
    return f"has {len(tokens):,} pixels; it must have {count:,} ({side} x {side}) like the other rows: remove the row"
