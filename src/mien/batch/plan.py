"""Which inputs make which partition: written beside the results, so that a run that goes on shares them out alike.

A partition is a file of results. It is there whole or not at all, so what is there has been done, and every input lies
in one partition alone. Leaves out: doing them (``partition``, ``engine_local``).
"""

from __future__ import annotations

import io
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from mien.batch.inputs import Inputs, Table
from mien.batch.storage import Folder
from mien.errors import ConfigError, need

__all__ = ["PLAN", "Partition", "add_inputs", "read_plan", "write_plan"]

#: The plan's file among the results; readers of folders of Parquet pass over names that begin so.
PLAN = "_plan.parquet"

_COLUMNS = ("partition", "name", "group", "first", "count")


@dataclass(frozen=True)
class Partition:
    """Pictures that are done together: ``pictures`` by name, or ``count`` rows of a table's row group from ``first``.

    number  from 0, of the run
    """

    number: int
    pictures: tuple[str, ...] = ()
    table: str = ""
    group: int = 0
    first: int = 0
    count: int = 0

    @property
    def file(self) -> str:
        """The name of its results."""
        return f"part-{self.number:06}.parquet"

    def __len__(self) -> int:
        return self.count if self.table else len(self.pictures)


def add_inputs(plan: Sequence[Partition], inputs: Inputs, size: int) -> list[Partition]:
    """The plan with partitions of up to ``size`` pictures for the inputs that it does not have yet.

    ConfigError for a table whose rows are other ones than the plan has: they would be lost.
    """
    known = {name for partition in plan for name in partition.pictures}
    rows = dict[str, Counter[int]]()  # of each table, in each of its row groups
    for p in plan:
        if p.table:
            rows.setdefault(p.table, Counter())[p.group] += p.count
    new = [name for name in inputs.pictures if name not in known]
    out = list(plan)
    for i in range(0, len(new), size):
        out.append(Partition(len(out), tuple(new[i : i + size])))
    for table in inputs.tables:
        if was := rows.get(table.name):
            if was != {group: n for group, n in enumerate(table.groups) if n}:
                raise ConfigError(
                    f"{table.name}: has changed since the run began ({sum(table.groups):,} rows, {was.total():,} "
                    "then): give new rows in a table of another name, or --force begins anew"
                )
        else:
            out += [Partition(len(out) + i, (), *part) for i, part in enumerate(_parts(table, size))]
    return out


def _parts(table: Table, size: int) -> Iterator[tuple[str, int, int, int]]:
    for group, rows in enumerate(table.groups):
        for first in range(0, rows, size):
            yield table.name, group, first, min(size, rows - first)


def write_plan(out: Folder, plan: Iterable[Partition]) -> None:
    """Write it among the results."""
    pa, parquet = need("pyarrow", "batch"), need("pyarrow.parquet", "batch")
    columns: dict[str, list[object]] = {name: [] for name in _COLUMNS}
    for p in plan:
        rows = [(p.table, p.group, p.first, p.count)] if p.table else [(name, None, None, None) for name in p.pictures]
        for name, *row in rows:
            for column, value in zip(columns.values(), (p.number, os.fsencode(name), *row), strict=True):
                column.append(value)
    kinds = (pa.int64(), pa.binary(), pa.int64(), pa.int64(), pa.int64())
    table = pa.table({n: pa.array(v, kind) for (n, v), kind in zip(columns.items(), kinds, strict=True)})
    data = io.BytesIO()
    parquet.write_table(table, data, compression="zstd")
    out.write(PLAN, data.getvalue())


def read_plan(out: Folder) -> list[Partition]:
    """The plan of the results in ``out``; ConfigError where there is none that can be read."""
    parquet = need("pyarrow.parquet", "batch")
    try:
        table = parquet.read_table(io.BytesIO(out.read(PLAN)))
        rows = zip(*(table.column(n).to_pylist() for n in _COLUMNS), strict=True)
        names, tables = dict[int, list[str]](), dict[int, Partition]()
        for number, name_bytes, group, first, count in rows:
            name = os.fsdecode(name_bytes)
            if group is None:
                names.setdefault(number, []).append(name)
            else:
                tables[number] = Partition(number, (), name, group, first, count)
        return [tables.get(n) or Partition(n, tuple(names[n])) for n in range(len(names) + len(tables))]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{out.address}/{PLAN}: cannot be resumed ({error}); --force begins anew") from error
