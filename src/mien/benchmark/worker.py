"""The work of one method, in a process of its own: learn, predict, measure, leave the predictions in a file.

A process of its own makes the peak of memory that method's alone, and keeps a crash from the others. Leaves out:
scores, which the ``runner`` works out from the predictions, alike for all.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from mien.benchmark.protocol import Fold, Protocol
from mien.benchmark.registry import METHODS
from mien.benchmark.task import Fitted, Task
from mien.errors import MienError
from mien.files import replace_file, safe_name

__all__ = ["Job", "predictions_file", "work"]


@dataclass(frozen=True, eq=False)
class Job:
    """A method, the faces, and what may be spent; ``folder`` is the method's own, others lie beside it."""

    method: str
    protocol: Protocol
    folder: Path
    seed: int
    threads: int
    budget: float | None


def predictions_file(folder: Path) -> Path:
    """Where a finished method's predictions lie: ``probabilities``, ``labels`` of the held-out faces, and ``facts``."""
    return folder / "predictions.npz"


def work(job: Job, pipe: Connection) -> None:
    """Do the job; sends ("progress", step, share) through ``pipe``, at last ("done", "", 1) or ("failed", why, 0)."""
    job.folder.mkdir(parents=True, exist_ok=True)
    log = os.open(job.folder / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)  # what libraries print belongs to the log, not to the table on the screen
    os.dup2(log, 2)
    try:
        _run(job, lambda step, share: pipe.send(("progress", step, share)))
        pipe.send(("done", "", 1.0))
    except (BrokenPipeError, KeyboardInterrupt):
        os._exit(130)  # whoever asked is gone
    except Exception as error:
        traceback.print_exc()
        why = str(error) if isinstance(error, MienError) else f"{type(error).__name__}: {error}"
        pipe.send(("failed", why, 0.0))
    finally:
        _dismiss_workers()


def _dismiss_workers() -> None:
    """End joblib's processes, which would idle for minutes while the end of this one waits for theirs."""
    loky = sys.modules.get("joblib.externals.loky")
    if loky is not None:
        loky.get_reusable_executor(reuse=True).shutdown(wait=True, kill_workers=True)


def _run(job: Job, progress: Any) -> None:
    folds = job.protocol.folds()
    parts: list[dict[str, Any]] = []
    for i, fold in enumerate(folds):
        folder = job.folder / safe_name(fold.name, i) if fold.name else job.folder
        parts.append(_fold(job, fold, folder, lambda step, share, i=i: progress(step, (i + share) / len(folds))))
    sizes = [part["size"] for part in parts]
    facts = {
        "size": {k: max(s[k] for s in sizes) for k in sizes[0]},
        "fit_seconds": sum(part["seconds"] for part in parts),
        "predict_seconds": sum(part["predict_seconds"] for part in parts),
        "peak_memory_mb": _peak_memory(),
        "figures": _mean([part["figures"] for part in parts]),
        "notes": list(dict.fromkeys(note for part in parts for note in part["notes"])),
    }
    probabilities = np.concatenate([part["probabilities"] for part in parts]).astype(np.float32)
    labels = np.concatenate([part["labels"] for part in parts])
    said = np.array(json.dumps(facts))
    replace_file(
        predictions_file(job.folder), lambda p: np.savez(p, probabilities=probabilities, labels=labels, facts=said)
    )


def _fold(job: Job, fold: Fold, folder: Path, progress: Any) -> dict[str, Any]:
    """Learn and predict on one fold."""
    train, val = fold.parts()
    task = Task(train, val, folder, job.seed, job.threads, job.budget, job.folder.parent, progress)
    fitted: Fitted = METHODS[job.method].fit(task)
    progress("predicting", 1.0)
    start = time.perf_counter()
    p = fitted.predict(val.array)
    return {
        "probabilities": p,
        "labels": val.labels,
        "predict_seconds": time.perf_counter() - start,
        "size": dict(fitted.size),
        "seconds": fitted.seconds,
        "figures": dict(fitted.figures),
        "notes": fitted.notes,
    }


def _mean(figures: list[dict[str, dict[str, float]]]) -> dict[str, dict[str, float]]:
    """The mean of every figure over the folds that have it."""
    kinds = dict.fromkeys(kind for found in figures for kind in found)
    known = {kind: [found[kind] for found in figures if kind in found] for kind in kinds}
    return {
        kind: {name: float(np.mean([f[name] for f in found])) for name in found[0]} for kind, found in known.items()
    }


def _peak_memory() -> float | None:
    """The most memory that this process held, plus that of its largest child, in MB; ``None`` where nobody says."""
    if sys.platform == "win32":
        return None
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    peaks = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(peaks) * unit / 1e6
