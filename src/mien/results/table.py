"""A run as a table: one row a face, one for a picture without a face, one for a picture that cannot be read.

Leaves out: predicting, and files (``mien predict`` writes them).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from mien.errors import need
from mien.faces import Face, Photo

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["columns", "rows", "to_arrow", "to_pandas"]

_BOX = ("left", "top", "right", "bottom")
_MEASURED = ("side", "sharpness", "brightness", "contrast", "yaw", "pitch", "roll")
_TEXTS = ("photo", "label", "prediction_set", "outcome", "problems", "error")
_FLAGS = ("uncertain", "usable")
_NUMBERS = ("face", "track")


def columns(labels: Sequence[str], *, video: bool = False) -> list[str]:
    """The columns of a table for a model with these ``labels``, in order.

    photo       the picture's path as it was given, "" for bytes and pixels
    face        number of the face in its picture from 1, 0 for a row without a face
    label, confidence, LABELS..., left, top, right, bottom, score, uncertain   see :class:`~mien.runtime.faces.Face`
    prediction_set  with blanks between them
    outcome     of the picture: ``faces``, ``unusable``, ``no face`` or ``unreadable``
    usable      of this face, and ``problems``, "; " between them, that speak against it
    side, sharpness, brightness, contrast, yaw, pitch, roll   see :class:`~mien.runtime.quality.Quality`
    error       why the picture cannot be read
    time, track  with ``video`` only: seconds from the start and number of the person
    """
    behind = ["score", "uncertain", "prediction_set", "outcome", "usable", "problems", *_MEASURED, "error"]
    return ["photo", "face", "label", "confidence", *labels, *_BOX, *behind, *(["time", "track"] if video else [])]


def rows(photo: Photo) -> Iterator[dict[str, Any]]:
    """The rows of one picture; a key is missing where there is nothing to say. At least one row."""
    of_photo: dict[str, Any] = {"photo": photo.source, "outcome": photo.outcome}
    if photo.time is not None:
        of_photo["time"] = round(photo.time, 3)
    if photo.error:
        of_photo["error"] = photo.error
    if not photo.faces:
        yield {**of_photo, "face": 0}
    for number, face in enumerate(photo.faces, start=1):
        yield {**of_photo, "face": number, **_of_face(face)}


def to_pandas(photos: Iterable[Photo], labels: Sequence[str] | None = None) -> Any:
    """A run as a ``pandas.DataFrame`` with the :func:`columns`; what a row has not is missing there.

    labels  of the model; None takes them from the first face, so that a run without any has no columns for them
    """
    frame_of = need("pandas", "pandas").DataFrame
    found = list(photos)
    lines = [row for photo in found for row in rows(photo)]
    heads = columns(_labels(found, labels), video=any(p.time is not None for p in found))
    frame = frame_of(lines, columns=heads)
    kinds = {h: "string" if h in _TEXTS else "boolean" if h in _FLAGS else "Int64" for h in heads if not _is_real(h)}
    return frame.astype({**{h: "float64" for h in heads if _is_real(h)}, **kinds})


def to_arrow(lines: Iterable[dict[str, Any]], labels: Sequence[str], *, video: bool = False) -> pa.Table:
    """:func:`rows` as a pyarrow Table with the :func:`columns`, of the same types whatever the run found."""
    arrow = need("pyarrow", "parquet")

    def kind(head: str) -> Any:
        if _is_real(head):
            return arrow.float64()
        return arrow.string() if head in _TEXTS else arrow.bool_() if head in _FLAGS else arrow.int32()

    schema = arrow.schema([(head, kind(head)) for head in columns(labels, video=video)])
    return arrow.Table.from_pylist(list(lines), schema=schema)


def _is_real(head: str) -> bool:
    return head not in (*_TEXTS, *_FLAGS, *_NUMBERS)


def _labels(photos: Sequence[Photo], labels: Sequence[str] | None) -> Sequence[str]:
    if labels is not None:
        return labels
    return next((list(face.probabilities) for photo in photos for face in photo.faces), [])


def _of_face(face: Face) -> dict[str, Any]:
    told = face.to_dict()
    quality = told["quality"] or {}
    return {
        "label": face.label,
        "confidence": told["confidence"],
        **told["probabilities"],
        **dict(zip(_BOX, told["box"], strict=True)),
        "score": told["score"],
        "uncertain": face.uncertain,
        "prediction_set": " ".join(face.prediction_set),
        "usable": face.usable,
        "problems": "; ".join(quality.get("problems", ())),
        **{name: quality.get(name) for name in _MEASURED},
        **({"track": face.track} if face.track is not None else {}),
    }
