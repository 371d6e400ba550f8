"""The one table of photos and videos: its columns, a picture's rows, and the same for pandas and pyarrow.

One row a face; a picture or frame without a face, and one that cannot be read, has a row as well. ``docs/columns.md``
shows the columns as :data:`COLUMNS` states them; they change only together with :data:`FORMAT`.
Leaves out: predicting, and files (``writers``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mien.errors import need
from mien.faces import Face, Photo

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["COLUMNS", "FORMAT", "Column", "Record", "Row", "arrow_schema", "columns", "to_arrow", "to_pandas"]

#: Number of the tables' format: of their columns, their meaning and their order.
FORMAT = 2

#: A row; a key is missing, or its value None, where there is nothing to say.
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Column:
    """One column: the type of its values (``str``, ``int``, ``float``, ``bool``), what it says, and who has it.

    kind  ``photo`` or ``video`` for a column that only their tables have, ``file`` for one that only files have,
          ``baseline``, ``markers`` and ``review`` for one that is there only where a baseline or markers were given,
          or where somebody corrected what was followed
    """

    name: str
    type: type
    text: str
    kind: str = ""


_PROBABILITIES = Column("LABEL", float, "probability of each label of the model, a column each, in the model's order")
_RELATIVE = Column("relative_LABEL", float, "relative probability of each label, a column each", "video baseline")
_POINTS = ("right_eye", "left_eye", "nose", "right_mouth", "left_mouth")

#: All columns in their order; ``LABEL`` stands for one column a label.
COLUMNS: tuple[Column, ...] = (
    Column("photo", str, "the picture's path as it was given; empty for bytes and pixels", "photo"),
    Column("time", float, "seconds from the video's start, by its own clock", "video"),
    Column("frame", int, "the frame's number in the file, from 0", "video"),
    Column(
        "face", int, "number of the face in its picture or frame, from 1, the surest first; 0: a row without a face"
    ),
    Column("track", int, "number of the person who is followed, from 1; empty for a weak face seen once", "video"),
    Column("outcome", str, "of the picture or frame: `faces` (one is usable), `unusable`, `no face` or `unreadable`"),
    Column("label", str, "the most probable expression; in a video after smoothing"),
    Column("confidence", float, "its probability, 0..1"),
    _PROBABILITIES,
    Column("uncertain", bool, "whether the prediction set holds more than one label"),
    Column("prediction_set", str, "the labels that it may be, with blanks between them, the most probable first"),
    Column("raw_label", str, "the most probable expression in this frame alone", "video"),
    Column("raw_confidence", float, "its probability, 0..1", "video"),
    Column(
        "relative_label", str, "the most probable expression relative to the person's face at rest", "video baseline"
    ),
    Column("relative_confidence", float, "its relative probability, 0..1", "video baseline"),
    _RELATIVE,
    *(Column(side, float, f"{side} edge of the face's box in pixels") for side in ("left", "top", "right", "bottom")),
    Column("score", float, "how sure the detector is of the face, 0..1"),
    *(
        Column(f"{point}_{axis}", float, f"{axis} of the landmark in pixels; right and left are the person's")
        for point in _POINTS
        for axis in "xy"
    ),
    Column("usable", bool, "whether nothing measured speaks against believing the answer"),
    Column("problems", str, "what does, `; ` between them"),
    Column("side", float, "of the box in pixels, the root of its area"),
    Column("sharpness", float, "variance of the crop's Laplacian over the crop's variance; less is more blurred"),
    Column("brightness", float, "mean grey of the crop, 0..255"),
    Column("contrast", float, "standard deviation of the crop's grey, 0..127.5"),
    Column("yaw", float, "degrees by which the head is turned to the picture's right"),
    Column("pitch", float, "degrees by which it is turned downwards"),
    Column("roll", float, "degrees by which it is turned clockwise"),
    Column("turn", float, "degrees clockwise by which the face's crop was turned upright; 0 for most"),
    Column("width", int, "of the picture or frame in pixels, as it is looked at (EXIF applied)"),
    Column("height", int, "the same, from top to bottom"),
    Column("error", str, "why the picture or frame cannot be read"),
    Column("marker", str, "what happened while the frame was on show, `; ` between several", "video markers"),
    Column("corrected", str, "what a person has set: `label`, `person`, `excluded`, `; ` between", "video review"),
    Column("sha256", str, "SHA-256 of the picture's file", "photo file"),
    Column("model", str, "the model's name", "file"),
    Column(
        "run", str, "stands for all that decides an answer: model, detector, settings, format; see the metadata", "file"
    ),
)
_FIXED = frozenset(column.name for column in COLUMNS)


@dataclass(frozen=True, eq=False)
class Record:
    """What a table takes at a time: a picture, or a frame with its number and the unsmoothed faces.

    sha256  of the picture's file
    marker  what happened while the frame was on show
    """

    photo: Photo
    raw: Sequence[Face] = ()
    frame: int | None = None
    sha256: str = ""
    marker: str = ""

    def rows(self) -> Iterator[dict[str, Any]]:
        """At least one row."""
        photo = self.photo
        time = None if photo.time is None else round(photo.time, 4)
        size = {"width": photo.width or None, "height": photo.height or None}
        base = {"photo": photo.source, "time": time, "frame": self.frame, "outcome": photo.outcome, **size}
        base |= {"error": photo.error or None, "sha256": self.sha256 or None}
        base |= {"marker": self.marker} if self.marker else {}
        if not photo.faces:
            yield {**base, "face": 0}
        for i, face in enumerate(photo.faces):
            raw = self.raw[i] if self.raw else None
            alone = {} if raw is None else {"raw_label": raw.label, "raw_confidence": round(raw.confidence, 6)}
            yield {**base, "face": i + 1, **alone, **_of_face(face)}

    def document(self) -> dict[str, Any]:
        """The same, nested as the web API has it, for JSON."""
        told = self.photo.to_dict()
        if self.frame is not None:
            del told["photo"]
            told = {"frame": self.frame, **told}
        for face, raw in zip(told.get("faces", ()), self.raw, strict=False):
            face |= {"raw_label": raw.label, "raw_confidence": round(raw.confidence, 6)}
        told |= {"marker": self.marker} if self.marker else {}
        return {**told, "sha256": self.sha256} if self.sha256 else told


def columns(
    labels: Sequence[str],
    *,
    video: bool = False,
    file: bool = False,
    baseline: bool = False,
    markers: bool = False,
    review: bool = False,
) -> dict[str, type]:
    """Name -> type of the columns of a table for a model with these ``labels``, in order.

    video  those of frames, else those of photos
    file   with those that only files have
    baseline, markers, review  with those that only some videos have, see :class:`Column`
    """
    asked = {"file": file, "baseline": baseline, "markers": markers, "review": review}
    absent = {"photo" if video else "video", *(kind for kind, there in asked.items() if not there)}
    found: dict[str, type] = {}
    for column in COLUMNS:
        if absent & set(column.kind.split()):
            continue
        if column in (_PROBABILITIES, _RELATIVE):
            found |= {column.name.replace("LABEL", label_column(label)): float for label in labels}
        else:
            found[column.name] = column.type
    return found


def label_column(label: str) -> str:
    """The column of a label's probability: its name, with ``p_`` before one that is called like another column."""
    return f"p_{label}" if label in _FIXED else label


def labels_in(names: Sequence[str]) -> tuple[str, ...]:
    """The labels of a table with these columns, which stand between ``confidence`` and ``uncertain``."""
    found = names[names.index("confidence") + 1 : names.index("uncertain")]
    return tuple(name[2:] if name.startswith("p_") and name[2:] in _FIXED else name for name in found)


def to_pandas(photos: Iterable[Photo], labels: Sequence[str] | None = None) -> Any:
    """A run as a ``pandas.DataFrame`` with the :func:`columns`; what a row has not is missing there.

    labels  of the model; None takes them from the first face, so that a run without any has no columns for them
    """
    frame_of = need("pandas", "pandas").DataFrame
    found = list(photos)
    if labels is None:
        labels = next((list(face.probabilities) for photo in found for face in photo.faces), [])
    kinds = columns(labels, video=any(p.time is not None for p in found))
    frame = frame_of([row for photo in found for row in Record(photo).rows()], columns=list(kinds))
    names = {str: "string", bool: "boolean", int: "Int64", float: "float64"}
    return frame.astype({name: names[kind] for name, kind in kinds.items()})


def arrow_schema(kinds: Mapping[str, type], metadata: Mapping[str, str] | None = None) -> pa.Schema:
    """The :func:`columns` as a pyarrow schema."""
    arrow = need("pyarrow", "parquet")
    of = {float: arrow.float64(), str: arrow.string(), bool: arrow.bool_(), int: arrow.int64()}
    return arrow.schema([(name, of[kind]) for name, kind in kinds.items()], metadata=dict(metadata or {}))


def to_arrow(photos: Iterable[Photo], labels: Sequence[str], *, video: bool = False) -> pa.Table:
    """A run as a pyarrow Table with the :func:`columns`, of the same types whatever the run found."""
    schema = arrow_schema(columns(labels, video=video))
    rows = [row for photo in photos for row in Record(photo).rows()]
    return need("pyarrow", "parquet").Table.from_pylist(rows, schema=schema)


def _of_face(face: Face) -> dict[str, Any]:
    told = face.to_dict()
    quality = told["quality"] or {}
    measured = ("side", "sharpness", "brightness", "contrast", "yaw", "pitch", "roll")
    points = told["landmarks"] or []
    return {
        "track": face.track,
        "label": face.label,
        "confidence": told["confidence"],
        **{label_column(name): p for name, p in told["probabilities"].items()},
        **dict(zip(("left", "top", "right", "bottom"), told["box"], strict=True)),
        "score": told["score"],
        **{
            f"{name}_{axis}": v
            for name, p in zip(_POINTS, points, strict=False)
            for axis, v in zip("xy", p, strict=True)
        },
        "uncertain": face.uncertain,
        "prediction_set": " ".join(face.prediction_set),
        "usable": face.usable,
        "problems": "; ".join(quality.get("problems", ())) or None,
        **{name: quality.get(name) for name in measured},
        "turn": told.get("turn"),
    }
