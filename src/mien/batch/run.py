"""The run of a batch: inputs, the plan, an engine, and a record of the whole beside the results.

Leaves out: flags and what people see (``mien.cli.batch``).
"""

from __future__ import annotations

import importlib
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from time import monotonic
from typing import Any

from mien.batch.answers import column_names, detector_name
from mien.batch.inputs import Inputs, find_inputs, open_parquet
from mien.batch.partition import Job
from mien.batch.plan import PLAN, Partition, add_inputs, read_plan, write_plan
from mien.batch.storage import Folder
from mien.errors import ConfigError
from mien.results.provenance import provenance_of
from mien.runtime import Predictor
from mien.runtime.processors import processors

__all__ = ["ENGINES", "RECORD", "Summary", "run_batch"]

#: What can carry a batch.
ENGINES = ("local", "daft", "ray")

#: The record of the run among the results.
RECORD = "_run.json"

#: Pictures of a partition, unless the user says otherwise: about half a minute of one processor.
SIZE = 1000


@dataclass
class Summary:
    """What came of a run.

    counts   of this run: each outcome, ``face`` for the faces, ``photos`` for all
    kept     photos that had been done before
    total    photos of the plan
    seconds  from the first partition's start to the last one's end
    passed   what lay in the folders and is no input, in a line
    """

    total: int = 0
    kept: int = 0
    seconds: float = 0.0
    counts: Counter[str] = field(default_factory=Counter)
    passed: str = ""


def run_batch(
    given: Sequence[str],
    out: str,
    predictor: Predictor | None = None,
    *,
    engine: str = "local",
    workers: int | None = None,
    size: int = SIZE,
    image: str | None = None,
    id: str | None = None,
    resume: bool = False,
    force: bool = False,
    begun: Callable[[Summary], object] = lambda summary: None,
    progress: Callable[[int], object] = lambda done: None,
) -> Summary:
    """Predict all pictures that ``given`` names and write a folder of Parquet files.

    given      pictures, folders, patterns, Parquet files with a column of pictures; paths and addresses of fsspec
    out        a folder, by path or address, that every worker reaches; ``mien.results`` says what is in its tables
    predictor  None is the default one. It is opened again in every worker: let it have one thread
    engine     ``local`` processes, ``daft`` or ``ray``; ``workers`` None is the number of processors
    size       the most pictures of a partition: what a killed worker costs, and what is written at a time
    image, id  the columns of Parquet files; None finds them
    resume     go on with ``out``, also with inputs that are new; ``force`` begins anew
    begun      is told what there is to do, ``progress`` how many photos this run has done

    ConfigError where ``out`` holds results and neither was said, or where they were made with other settings or from
    other columns.
    """
    if engine not in ENGINES:
        raise ConfigError(f"--engine must be {', '.join(ENGINES)}, got {engine!r}")
    if size < 1 or (workers is not None and workers < 1):
        raise ConfigError(f"--partition and --workers must be 1 or more, got {size} and {workers}")
    used = Predictor(threads=1) if predictor is None else predictor
    folder = Folder(out)
    job = Job(used, provenance_of(used, detector_name(used)), folder, image, id)
    plan, waiting, inputs = _prepare(given, job, size, resume=resume, force=force)
    total, left = sum(map(len, plan)), sum(map(len, waiting))
    summary = Summary(total, total - left, passed=str(inputs.passed))
    about = {"run": job.provenance.run, **job.provenance.to_dict(), "engine": engine, "columns": _columns(job)}
    about["started"] = datetime.now(timezone.utc).isoformat(timespec="seconds")
    _record(folder, about, summary, complete=not waiting)
    begun(summary)
    if waiting:
        _carry(engine, job, waiting, workers or processors(), summary, progress)
        _record(folder, about, summary, complete=True)
    return summary


def _carry(
    engine: str,
    job: Job,
    waiting: Sequence[Partition],
    workers: int,
    summary: Summary,
    progress: Callable[[int], object],
) -> None:
    carry = importlib.import_module(f"mien.batch.engine_{engine}").run
    began = monotonic()
    for done in carry(job, waiting, workers, lambda n: progress(summary.counts["photos"] + n)):
        summary.counts.update(done.counts)
        summary.seconds = monotonic() - began
        progress(summary.counts["photos"])


def _prepare(
    given: Sequence[str], job: Job, size: int, *, resume: bool, force: bool
) -> tuple[list[Partition], list[Partition], Inputs]:
    """The plan, those of its partitions that are not done yet, and the inputs; ``out`` is left ready."""
    there = job.out.names()
    parts = {name for name in there if name.startswith("part-") and name.endswith(".parquet")}
    results = parts | there & {PLAN, RECORD}
    if resume and force:
        raise ConfigError("--resume and --force exclude each other: go on with the results, or begin anew")
    if results and not (resume or force):
        raise ConfigError(f"{job.out.address} holds results: --resume goes on with them, --force begins anew")
    inputs = find_inputs(given, job.out)
    for table in inputs.tables:
        column_names(open_parquet(table.name).schema_arrow, job.image, job.id)
    if resume and (parts or {PLAN, RECORD} <= there):
        _check_same(job)
        old = read_plan(job.out)
    else:
        job.out.remove(results)
        old, there = [], set()
    plan = add_inputs(old, inputs, size)
    if len(plan) > len(old):
        write_plan(job.out, plan)
    return plan, [p for p in plan if p.file not in there], inputs


def _columns(job: Job) -> dict[str, str]:
    """The options that say where a table has its pictures and ids."""
    return {"--image-column": job.image or "(found)", "--id-column": job.id or "(found)"}


def _check_same(job: Job) -> None:
    """ConfigError where the results were made with other settings, or from other columns."""
    out = job.out
    try:
        metadata = json.loads(out.read(RECORD))
        differences = job.provenance.differences(metadata)
        then: dict[str, str] = metadata.get("columns", {})
        differences += [f"{k} {then[k]}, not {now}" for k, now in _columns(job).items() if then.get(k, now) != now]
    except (OSError, ValueError, AttributeError) as error:
        raise ConfigError(f"{out.address}/{RECORD}: cannot be resumed ({error}); --force begins anew") from error
    if differences:
        raise ConfigError(
            f"{out.address}: cannot be resumed: it was written with {', and with '.join(differences)}; "
            "choose another folder, or --force"
        )


def _record(out: Folder, about: Mapping[str, Any], summary: Summary, *, complete: bool) -> None:
    ended = {"photos": summary.total, "kept": summary.kept, "counts": dict(summary.counts)}
    told = {**about, "complete": complete, **ended, "seconds": round(summary.seconds, 1)}
    out.write(RECORD, (json.dumps(told, indent=1, ensure_ascii=False) + "\n").encode())
