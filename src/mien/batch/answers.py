"""Pictures in Arrow -> results in Arrow: :func:`predict_batch`, which any engine can map over its own batches.

Rows and columns are those of every table (``mien.results``, docs/columns.md). A picture that cannot be read, or that
makes anything fail, is a row with its error. Leaves out: files (``partition``), processes (``engine_local``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from mien.errors import ConfigError, need
from mien.faces import Photo
from mien.results.provenance import Provenance, provenance_of
from mien.results.schema import Record, arrow_schema, columns
from mien.runtime import CenterFace, Predictor, WholeImage, YuNet

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["column_names", "detector_name", "ids_of", "output_schema", "photos_of", "predict_batch", "rows_of"]

_IMAGE = ("image", "photo", "picture", "img", "face", "image_bytes", "bytes", "content", "data")
_ID = ("id", "photo_id", "image_id", "key", "name", "path", "filename", "file_name", "url", "uri")


def predict_batch(
    batch: pa.RecordBatch, predictor: Predictor | None = None, *, image: str | None = None, id: str | None = None
) -> pa.RecordBatch:
    """The faces of a batch of pictures: a row a face, and one for a picture without a face or that cannot be read.

    batch      has a column of encoded pictures (bytes, or a struct with ``bytes``), and one of ids
    predictor  None is the default one, opened once in each process. It can be pickled
    image, id  names of the columns; None takes the only ones that can be meant. Rows without an id are numbered

    The result has the columns of ``mien predict --out``, ``photo`` being the id as text: :func:`output_schema`.
    ConfigError where the columns are not there.
    """
    arrow = need("pyarrow", "batch")
    used = _default() if predictor is None else predictor
    image, id = column_names(batch.schema, image, id)
    ids = ids_of(batch, id, list(map(str, range(batch.num_rows))))
    provenance = _provenance(used)
    rows = rows_of(photos_of(used, ids, batch.column(image).to_pylist()), provenance)
    return arrow.RecordBatch.from_pylist(list(rows), schema=output_schema(used))


def output_schema(predictor: Predictor | None = None) -> pa.Schema:
    """The ``pyarrow.Schema`` of what :func:`predict_batch` gives, for engines that ask for it beforehand."""
    return arrow_schema(columns(_provenance(_default() if predictor is None else predictor).labels, file=True))


def column_names(schema: pa.Schema, image: str | None = None, id: str | None = None) -> tuple[str, str | None]:
    """The columns of pictures and ids; ConfigError where one that was named is not there, or none can be meant."""
    kinds = {field.name: field.type for field in schema}
    shown = ", ".join(f"{name} ({kind})" for name, kind in kinds.items()) or "none"
    for option, name in (("image", image), ("id", id)):
        if name and name not in kinds:
            raise ConfigError(f"no column {name!r} for {option}: the columns are {shown}")
    pictures = [name for name, kind in kinds.items() if _holds_pictures(kind)]
    if image and image not in pictures:
        raise ConfigError(f"the column {image!r} holds {kinds[image]}: pictures are bytes, or a struct with 'bytes'")
    if not image and not pictures:
        raise ConfigError(f"no column of pictures (bytes, or a struct with 'bytes'): the columns are {shown}")
    if not image:
        image = next((name for name in _IMAGE if name in pictures), pictures[0] if len(pictures) == 1 else "")
        if not image:
            raise ConfigError(f"several columns may hold the pictures ({', '.join(pictures)}): name one")
    return image, id or next((name for name in _ID if name in kinds and name not in pictures), None)


def ids_of(batch: pa.RecordBatch, id: str | None, numbers: Sequence[str]) -> list[str]:
    """The ids of a batch's rows as text; of a row that has none, its number."""
    found = batch.column(id).to_pylist() if id else numbers
    return [number if value is None else str(value) for value, number in zip(found, numbers, strict=True)]


def photos_of(
    predictor: Predictor, names: Sequence[str], pictures: Sequence[Any]
) -> Iterator[tuple[Photo, bytes | None]]:
    """Each picture's answer and its bytes, in order. A picture is bytes, a struct with them, or why there are none."""
    data = [_bytes_of(picture) for picture in pictures]
    answers = iter(_predicted(predictor, [d for d in data if isinstance(d, bytes)]))
    for name, d in zip(names, data, strict=True):
        if isinstance(d, bytes):
            yield replace(next(answers), source=name), d
        else:
            yield Photo(name, error=d), None


def rows_of(photos: Iterator[tuple[Photo, bytes | None]], provenance: Provenance) -> Iterator[Mapping[str, Any]]:
    """The rows of each photo in a file's columns."""
    same = {"model": provenance.model["name"], "run": provenance.run}
    for photo, data in photos:
        sha256 = hashlib.sha256(data).hexdigest() if data is not None else ""
        for row in Record(photo, sha256=sha256).rows():
            yield {**row, **same}


def _predicted(predictor: Predictor, data: Sequence[bytes]) -> Sequence[Photo]:
    """A photo for each; what is no DataError, a bug or too little memory, costs the picture that raised it alone."""
    try:
        return list(predictor.predict_many(data))
    except Exception as error:
        if len(data) == 1:
            return [Photo("", error=f"{type(error).__name__}: {error}")]
        return [photo for one in data for photo in _predicted(predictor, [one])]


def _bytes_of(picture: Any) -> bytes | str:
    found = picture.get("bytes") if isinstance(picture, dict) else picture
    return "no picture: the cell is empty" if found is None else found


def _holds_pictures(kind: Any) -> bool:
    pa = need("pyarrow", "batch")
    if pa.types.is_struct(kind):
        return any(field.name == "bytes" and _holds_pictures(field.type) for field in kind)
    return str(kind) in ("binary", "large_binary", "binary_view") or pa.types.is_fixed_size_binary(kind)


@lru_cache(maxsize=1)
def _default() -> Predictor:
    return Predictor(threads=1)


@lru_cache(maxsize=4)
def _provenance(predictor: Predictor) -> Provenance:
    return provenance_of(predictor, detector_name(predictor))


def detector_name(predictor: Predictor) -> str:
    """The name by which a predictor's detector is asked for, its class for one of the user's own."""
    kind = type(predictor.detector)
    if isinstance(predictor.detector, CenterFace) and predictor.detector.path.name == "centerface-small.onnx":
        return "fast"
    return {CenterFace: "centerface", YuNet: "yunet", WholeImage: "none"}.get(kind, kind.__name__)
