"""Which column of a table of the FER2013 family holds what, told by its first line; and what a label or split means.

Leaves out: the rows (``csv_table``).
"""

from __future__ import annotations

from dataclasses import dataclass

from mien.data.readers.classes import NUMBERED
from mien.errors import DataError
from mien.labels import canonical

__all__ = ["Layout", "class_number", "count_numbers", "shown", "sniff", "split_fields"]

_WORDS = {
    "pixels": ("pixels", "pixel", "pixel values"),
    "label": ("emotion", "label", "class", "expression"),
    "usage": ("usage", "split"),
}


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
    fields = split_fields(first, delimiter)
    if any(count_numbers(f) >= 16 for f in fields):
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
        there = ", ".join(repr(n[:30]) for n in names[:8])
        raise DataError(
            f"line 1 has no column 'pixels' but {there}; the columns must be emotion,pixels,Usage (the last two in any "
            "order, emotion and Usage may be missing)",
            where,
        )
    return Layout(True, delimiter, len(names), found["pixels"], found["label"], found["usage"])


def _by_content(fields: list[bytes], delimiter: bytes, where: str) -> Layout:
    counts = [count_numbers(f) for f in fields]
    pixels = counts.index(max(counts))
    label = usage = None
    for i, text in enumerate(fields):
        if i == pixels:
            continue
        if label is None and class_number(text) is not None:
            label = i
        elif usage is None and text.strip():
            usage = i
        else:
            raise DataError(
                f"line 1 is no header, and column {i + 1} ({shown(text)}) is neither pixels, a label nor a split; "
                "add the header emotion,pixels,Usage",
                where,
            )
    return Layout(False, delimiter, len(fields), pixels, label, usage)


def split_fields(text: bytes, delimiter: bytes) -> list[bytes]:
    """The fields of a line, without quotes."""
    if b'"' in text:  # pixels hold blanks, never the delimiter, so quotes carry nothing
        text = text.replace(b'"', b"")
    return text.split(delimiter)


def count_numbers(text: bytes) -> int:
    """How many numbers a field of pixels holds; 0 where most of it is something else."""
    tokens = text.split()
    digits = sum(t.isdigit() for t in tokens)
    return len(tokens) if digits * 2 > len(tokens) else 0


def class_number(text: bytes) -> int | None:
    """The class number of a label: ``b"3"``, ``b"3.0"`` or a word for an expression; ``None`` for anything else."""
    if text in _CLASSES:
        return _CLASSES[text]
    word = text.decode("utf-8", "replace").strip().removesuffix(".0")
    return _CLASSES.get(canonical(word).encode())


_CLASSES = {w.encode(): i for i, name in enumerate(NUMBERED) for w in (str(i), name)}


def shown(text: bytes) -> str:
    """The beginning of a field, for messages."""
    start = text[:24].decode("utf-8", "replace")
    return repr(start) + ("..." if len(text) > 24 else "")
