"""Run many methods under one protocol, each in a process of its own, and keep what is finished.

    OUT/results/NAME.json   a method's row: report, sizes, times, memory; written when it has finished or failed
    OUT/runs/NAME-KEY/      weights, the state of an unfinished network, the log; vgg-KEY holds what two methods share

A row is used again where its key is the same: data, protocol, seed, budget and every setting of the method. Leaves out:
showing progress (``cli``) and the table (``tables``).
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import json
import multiprocessing
import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, fields
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.benchmark.protocol import Protocol
from mien.benchmark.registry import Method
from mien.benchmark.worker import Job, predictions_file, work
from mien.data.duplicates import near_duplicates
from mien.errors import ConfigError
from mien.evaluation.metrics import Report, score
from mien.evaluation.scoring import versions
from mien.files import check_writable, write_text
from mien.runtime.processors import processor, processors

__all__ = ["Event", "Row", "compare"]

_PATIENCE = 60.0  # seconds that a method may run over twice its budget before it is stopped
_TICK = 0.5


@dataclass(frozen=True)
class Row:
    """What a comparison knows of one method; ``error`` says why there is no report."""

    method: str
    key: str
    error: str = ""
    report: dict[str, Any] | None = None
    size: dict[str, int] = field(default_factory=dict)
    fit_seconds: float = 0.0
    faces_per_second: float = 0.0
    peak_memory_mb: float | None = None
    figures: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    right: str = ""
    conditions: dict[str, Any] = field(default_factory=dict)

    @property
    def scored(self) -> Report:
        """The report; only for a row without an error."""
        assert self.report is not None
        return Report.from_dict(self.report)

    @property
    def hits(self) -> NDArray[np.bool_]:
        """For each held-out face, in the order of the protocol, whether the prediction was right."""
        return np.array([c == "1" for c in self.right])


@dataclass(frozen=True)
class Event:
    """Something that happened: kind "start", "progress", "done", "failed" or "kept" (used from before)."""

    kind: str
    method: str
    step: str = ""
    share: float = 0.0
    row: Row | None = None


@dataclass(eq=False)
class _Running:
    method: Method
    job: Job
    key: str
    process: BaseProcess
    pipe: Connection
    begun: float
    outcome: tuple[str, str] | None = None


def compare(
    methods: Sequence[Method],
    protocol: Protocol,
    out: Path,
    *,
    seed: int = 0,
    budget: float | None = None,
    jobs: int = 1,
    on_event: Callable[[Event], None] = lambda event: None,
) -> list[Row]:
    """Train and evaluate ``methods``; rows in their order, those that failed among them.

    budget    seconds of training for each method: networks cut their epochs to fit; what is still running a minute
              after twice the time is stopped, and fails
    jobs      methods at a time; they share the cores
    on_event  called in this process

    A method that fails, crashes or is stopped never stops the others. Interrupted, it ends its processes and raises on;
    called again, it goes on with what is not finished, networks from their last state.
    """
    if jobs < 1:
        raise ConfigError(f"jobs must be 1 or more, got {jobs}")
    if budget is not None and budget <= 0:
        raise ConfigError(f"budget must be more than 0 seconds, got {budget}")
    check_writable(out / "results")
    threads = max(1, processors() // jobs)
    rows: dict[str, Row] = {}
    waiting: list[tuple[Method, str]] = []
    for method in methods:
        key = _key(method, protocol, seed, budget)
        kept = _kept(out, method.name, key)
        if kept is None:
            waiting.append((method, key))
        else:
            rows[method.name] = kept
            on_event(Event("kept", method.name, row=kept))
    scorer = _Scorer(protocol, seed, budget, threads, jobs) if waiting else None
    running: list[_Running] = []
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                method, key = waiting.pop(0)
                job = Job(method.name, protocol, out / "runs" / f"{method.name}-{key}", seed, threads, budget)
                running.append(_start(method, key, job))
                on_event(Event("start", method.name))
            for run in _finished(running, budget, on_event):
                running.remove(run)
                assert scorer is not None
                row = scorer.row(run)
                write_text(out / "results" / f"{row.method}.json", json.dumps(asdict(row), indent=1) + "\n")
                rows[row.method] = row
                on_event(Event("failed" if row.error else "done", row.method, row=row))
    finally:
        for run in running:
            _stop(run)
    return [rows[m.name] for m in methods]


def _key(method: Method, protocol: Protocol, seed: int, budget: float | None) -> str:
    """12 hex digits of all that decides a row."""
    what = {
        "method": method.name,
        "settings": method.settings(seed),
        "faces": protocol.faces.fingerprint,
        "people": None if protocol.faces.subject is None else protocol.faces.subject.tolist(),
        "protocol": [protocol.kind, protocol.about, protocol.val_split, protocol.seed],
        "budget": budget,
    }
    return hashlib.sha256(json.dumps(what, sort_keys=True, default=str).encode()).hexdigest()[:12]


def _kept(out: Path, name: str, key: str) -> Row | None:
    """The finished row of an earlier comparison with the same key."""
    try:
        raw = json.loads((out / "results" / f"{name}.json").read_text(encoding="utf-8"))
        row = Row(**{f.name: raw[f.name] for f in fields(Row)})
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return row if row.key == key and not row.error else None


def _start(method: Method, key: str, job: Job) -> _Running:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=work, args=(job, there), name=f"mien {method.name}", daemon=False)
    with _threads(job.threads):
        process.start()
    there.close()
    return _Running(method, job, key, process, here, time.monotonic())


@contextlib.contextmanager
def _threads(n: int) -> Any:
    """The number of threads for libraries that read it from the environment when they are loaded."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    old = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, str(n)))
    try:
        yield
    finally:
        for name, value in old.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _finished(running: Sequence[_Running], budget: float | None, on_event: Callable[[Event], None]) -> list[_Running]:
    """Pass on what the processes say, stop those out of time, and return those that have ended."""
    wait([r.pipe for r in running] + [r.process.sentinel for r in running], timeout=_TICK)
    ended = []
    for run in running:
        alive = run.process.is_alive()  # asked first: what is sent before the end is read below
        with contextlib.suppress(EOFError, OSError):
            while run.pipe.poll():
                kind, text, share = run.pipe.recv()
                if kind == "progress":
                    on_event(Event("progress", run.method.name, text, share))
                else:
                    run.outcome = (kind, text)
        if budget is not None and alive and time.monotonic() - run.begun > 2 * budget + _PATIENCE:
            _stop(run)
            run.outcome = ("failed", f"not done after twice the budget of {budget:g} s; give a longer one")
            alive = False
        if not alive:
            run.process.join()
            ended.append(run)
    return ended


def _stop(run: _Running) -> None:
    run.process.terminate()
    run.process.join(10)
    if run.process.is_alive():
        run.process.kill()
        run.process.join()


class _Scorer:
    """Scores predictions, alike for every method; which faces have a near-duplicate in Training is worked out once."""

    def __init__(self, protocol: Protocol, seed: int, budget: float | None, threads: int, jobs: int) -> None:
        clean, splits, learnt = [], list[str](), list[int]()
        for fold in protocol.folds():
            train, val = fold.parts()
            clean.append(~near_duplicates(val.images, train.images))
            splits += val.splits
            learnt.append(len(train))
        self.names, self.clean = protocol.faces.names, np.concatenate(clean)
        self.splits = "+".join(dict.fromkeys(splits))
        self.conditions = {
            "protocol": protocol.about,
            "data": Path(protocol.faces.source).name,
            "fingerprint": protocol.faces.fingerprint,
            "trained on": sum(learnt) // len(learnt),
            "views": 1,
            "seed": seed,
            "budget, s": budget,
            "threads": threads,
            "methods at a time": jobs,
            "machine": f"{processor()[0]}, {platform.machine()}",
            "date": datetime.date.today().isoformat(),
            **versions(),
        }

    def row(self, run: _Running) -> Row:
        """The row of a method that has ended, in whatever way."""
        name, file = run.method.name, predictions_file(run.job.folder)
        if run.outcome is None:
            code = run.process.exitcode
            why = f"its process ended with code {code}" + ("; too little memory?" if code == -9 else "")
            return Row(name, run.key, error=f"{why}; see {run.job.folder / 'log.txt'}", conditions=self.conditions)
        if run.outcome[0] == "failed":
            return Row(name, run.key, error=run.outcome[1], conditions=self.conditions)
        with np.load(file, allow_pickle=False) as found:
            p, labels, facts = found["probabilities"], found["labels"], json.loads(str(found["facts"]))
        report = score(p, labels, self.names, clean=self.clean, split=self.splits)
        return Row(
            name,
            run.key,
            report=report.to_dict(),
            size=facts["size"],
            fit_seconds=facts["fit_seconds"],
            faces_per_second=len(p) / facts["predict_seconds"],
            peak_memory_mb=facts["peak_memory_mb"],
            figures=facts["figures"],
            notes=facts["notes"],
            right="".join("01"[int(hit)] for hit in p.argmax(1) == labels),
            conditions=self.conditions,
        )
