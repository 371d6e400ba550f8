"""Which column of a Parquet file holds pictures, labels, people and splits, and what one of their values means.

Columns are found by their names (``image``, ``label``, ``subject``, ``split`` and other words for them), a single
column of pictures under any name. Leaves out: opening and reading the file (``parquet``).
"""

from __future__ import annotations

import json
from typing import Any, cast

from mien.errors import DataError
from mien.images import MAX_BYTES

__all__ = ["class_names", "columns_of", "features_of", "label_of", "picture_of", "text_of"]

_WORDS = {
    "image": ("image", "img", "face", "picture", "photo", "image_bytes", "img_bytes", "bytes"),
    "label": ("label", "labels", "emotion", "emotions", "expression", "class"),
    "subject": ("subject", "subject_id", "identity", "person", "person_id"),
    "split": ("split", "usage"),
}
_BYTES = ("binary", "large_binary", "binary_view")
_TEXT = ("string", "large_string", "string_view")
_INTEGERS = tuple(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))


def features_of(metadata: Any) -> dict[str, Any]:
    """The features of the ``huggingface`` record; none where there is no such or it is damaged."""
    try:
        features = json.loads((metadata or {})[b"huggingface"])["info"]["features"]
        return features if isinstance(features, dict) else {}
    except (KeyError, TypeError, ValueError, RecursionError):
        return {}


def class_names(feature: Any, kind: Any) -> tuple[str, ...]:
    """The names of the classes of a column of type ``kind``, from its feature; empty where it has none or is words."""
    if _plain(kind) not in _INTEGERS:
        return ()
    names = feature.get("names") if isinstance(feature, dict) else None
    return tuple(names) if isinstance(names, list) and all(isinstance(n, str) for n in names) else ()


def columns_of(schema: Any, where: str) -> dict[str, str]:
    """Which column holds what; raises :class:`DataError` where none holds pictures or one is of a wrong type."""
    types = {f.name: f.type for f in schema}
    pictures = [n for n, t in types.items() if _holds_bytes(t)]
    shown = ", ".join(f"{n} ({t})" for n, t in list(types.items())[:8])
    image = _named(pictures, "image") or (pictures[0] if len(pictures) == 1 else None)
    if image is None:
        fault = f"several columns of bytes ({', '.join(pictures)})" if pictures else "no column of pictures"
        raise DataError(
            f"has {fault}; exactly one must hold the bytes of PNG or JPEG, alone or in a struct {{bytes, path}}, or be "
            f"named image; its columns are {shown}",
            where,
        )
    found = {"image": image}
    for kind in ("label", "subject", "split"):
        name = _named(types, kind)
        if name is None:
            continue
        if _plain(types[name]) in (*_TEXT, "null", *(() if kind == "split" else _INTEGERS)):
            found[kind] = name
        elif kind == "label":
            raise DataError(
                f"the column {name!r} holds {types[name]}; labels must be integers or words: convert it", where
            )
    for name in found.values():
        if schema.names.count(name) > 1:
            raise DataError(f"has the column {name!r} twice; keep one", where)
    return found


def _named(names: Any, kind: str) -> str | None:
    """The first of ``names`` that is a word for ``kind``, earlier words first."""
    return next((n for word in _WORDS[kind] for n in names if n.strip().lower() == word), None)


def _holds_bytes(kind: Any) -> bool:
    if str(kind).startswith("struct<"):
        return any(f.name == "bytes" and str(f.type) in _BYTES for f in kind)
    return str(kind) in _BYTES


def _plain(kind: Any) -> str:
    """The name of a column type, that of the values where they are stored through a dictionary."""
    return str(kind.value_type if str(kind).startswith("dictionary<") else kind)


def picture_of(value: Any, where: str) -> bytes:
    """The bytes of a picture; raises :class:`DataError` where there are none."""
    data = value.get("bytes") if isinstance(value, dict) else value
    if data is None and isinstance(value, dict) and value.get("path"):
        raise DataError(
            f"holds only the path {value['path']!r} and not the picture; write the file again with the bytes in it",
            where,
        )
    if data is None:
        raise DataError("has no picture (null); remove the row", where)
    if len(data) > MAX_BYTES:
        raise DataError(f"is larger than {MAX_BYTES >> 20} MiB, the most that is read of a picture", where)
    return cast("bytes", data)


def label_of(value: Any, declared: tuple[str, ...], where: str) -> str | int | None:
    """A class, a number that no record names, or ``None`` for no label; raises where it is out of range."""
    if value is None or value == -1 or (isinstance(value, str) and not value.strip()):
        return None
    if isinstance(value, str):
        return value
    if not declared and value >= 0:
        return int(value)
    if 0 <= value < len(declared):
        return declared[int(value)]
    rule = f"0..{len(declared) - 1} ({', '.join(declared)})" if declared else "0 or more"
    raise DataError(f"the label is {value}; it must be {rule}, or -1 for none: correct or remove the row", where)


def text_of(value: Any) -> str:
    """A subject or split as text, "" where there is none."""
    return "" if value is None else str(value).strip()
