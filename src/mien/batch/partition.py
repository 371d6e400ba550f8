"""One partition from its pictures to its file of results: what every engine does on every worker.

The next pictures are read while those before them are looked at. Leaves out: which partitions there are (``plan``) and
who does them (``engine_local`` and the others).
"""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from mien.batch.answers import column_names, ids_of, photos_of, rows_of
from mien.batch.inputs import open_parquet
from mien.batch.plan import Partition
from mien.batch.storage import Folder, read_many
from mien.errors import DataError, need
from mien.results.cells import printable
from mien.results.provenance import Provenance
from mien.results.schema import arrow_schema, columns
from mien.results.writers import METADATA_KEY
from mien.runtime import Predictor

__all__ = ["Done", "Job", "alone", "do_partition", "partition_rows", "write_partition"]

_TOGETHER = 32  # pictures that are read, and whose faces go through the network, together


@dataclass(frozen=True)
class Job:
    """What every worker needs; may be pickled.

    image, id  columns of tables; None finds them
    """

    predictor: Predictor
    provenance: Provenance
    out: Folder
    image: str | None = None
    id: str | None = None


@dataclass(frozen=True)
class Done:
    """A partition that is written, and how often each outcome came; ``face`` counts faces, ``photos`` all photos."""

    number: int
    counts: Mapping[str, int]


def do_partition(job: Job, partition: Partition, tick: Callable[[int], object] = lambda n: None) -> Done:
    """Read, predict, write; ``tick`` is told how many pictures have been done since."""
    return write_partition(job, partition, partition_rows(job, partition, tick))


def partition_rows(
    job: Job, partition: Partition, tick: Callable[[int], object] = lambda n: None
) -> list[Mapping[str, Any]]:
    """The rows of its pictures, in their order."""
    rows = list[Mapping[str, Any]]()
    for names, pictures in _ahead(_chunks(job, partition)):
        rows += rows_of(photos_of(job.predictor, names, pictures), job.provenance)
        tick(len(names))
    return rows


def write_partition(job: Job, partition: Partition, rows: Sequence[Mapping[str, Any]]) -> Done:
    """Put the partition's file among the results, in one step."""
    arrow, parquet = need("pyarrow", "batch"), need("pyarrow.parquet", "batch")
    counts = Counter(row["outcome"] for row in rows if row["face"] < 2)  # a photo's first row, or its only one
    counts.update(photos=len(partition), face=sum(row["face"] > 0 for row in rows))
    about = {"run": job.provenance.run, **job.provenance.to_dict(), "partition": partition.number, "counts": counts}
    schema = arrow_schema(columns(job.provenance.labels, file=True), {METADATA_KEY: json.dumps(about)})
    data = io.BytesIO()
    parquet.write_table(arrow.Table.from_pylist(list(rows), schema=schema), data, compression="zstd")
    job.out.write(partition.file, data.getvalue())
    return Done(partition.number, dict(counts))


def _chunks(job: Job, partition: Partition) -> Iterator[tuple[list[str], list[Any]]]:
    """Names and pictures of some at a time; a picture may be a line that says why there is none."""
    if partition.table:
        yield from _rows_of_table(job, partition)
        return
    for i in range(0, len(partition), _TOGETHER):
        names = partition.pictures[i : i + _TOGETHER]
        yield list(map(printable, names)), list[Any](read_many(names))


def _rows_of_table(job: Job, p: Partition) -> Iterator[tuple[list[str], list[Any]]]:
    """The partition's rows of its table; where it has become unreadable, each row says so."""
    at = 0
    try:
        file = open_parquet(p.table)
        image, id = column_names(file.schema_arrow, job.image, job.id)
        batches = file.iter_batches(_TOGETHER, row_groups=[p.group], columns=[image, *([id] if id else [])])
        row = 0
        for batch in batches:
            begin, end = max(p.first, row), min(p.first + p.count, row + batch.num_rows)
            if begin < end:
                part = batch.slice(begin - row, end - begin)
                ids = ids_of(part, id, _numbered(p, begin - p.first, end - p.first))
                yield ids, part.column(image).to_pylist()
                at = end - p.first
            row += batch.num_rows
            if at == p.count:
                return
        raise DataError(f"has {at} of the {p.count} rows that it had when the run began")
    except (DataError, OSError, ValueError) as error:
        for first in range(at, p.count, _TOGETHER):
            names = _numbered(p, first, min(first + _TOGETHER, p.count))
            yield names, [f"the table cannot be read ({error})"] * len(names)


def _numbered(p: Partition, first: int, end: int) -> list[str]:
    """Ids of rows without one: the table's name, the row group and the row in it, from 0."""
    return [f"{printable(p.table)}#{p.group}.{p.first + i}" for i in range(first, end)]


def _ahead(chunks: Iterator[Any]) -> Iterator[Any]:
    """The same, the next one being fetched meanwhile."""
    nothing = object()
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, chunks, nothing)
        while (chunk := coming.result()) is not nothing:
            coming = pool.submit(next, chunks, nothing)
            yield chunk


def alone(partition: Partition, i: int) -> Partition:
    """The partition's ``i``-th picture as one of its own."""
    if partition.table:
        return replace(partition, first=partition.first + i, count=1)
    return replace(partition, pictures=(partition.pictures[i],))
