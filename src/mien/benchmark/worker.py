"""The work of one method, in a process of its own: learn, answer, measure, leave the answers in a file.

A process of its own makes the peak of memory that method's alone, and keeps a crash from the others. Leaves out:
scores, which the ``runner`` works out from the answers, alike for all.
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
from mien.files import replace_file

__all__ = ["Job", "answers_file", "work"]


@dataclass(frozen=True, eq=False)
class Job:
    """A method, the faces, and what may be spent; ``folder`` is the method's own, others lie beside it."""

    method: str
    protocol: Protocol
    folder: Path
    seed: int
    threads: int
    budget: float | None


def answers_file(folder: Path) -> Path:
    """Where a finished method's answers lie: ``probabilities`` and ``labels`` of the faces judged, and ``facts``."""
    return folder / "answers.npz"


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
    folds = list(job.protocol.folds())
    parts: list[dict[str, Any]] = []
    for i, fold in enumerate(folds):
        parts.append(_fold(job, fold, lambda step, share, i=i: progress(step, (i + share) / len(folds))))
    sizes = [part["size"] for part in parts]
    facts = {
        "size": {k: max(s[k] for s in sizes) for k in sizes[0]},
        "fit_seconds": sum(part["seconds"] for part in parts),
        "answer_seconds": sum(part["answer_seconds"] for part in parts),
        "peak_memory_mb": _peak_memory(),
        "figures": _mean([part["figures"] for part in parts]),
        "notes": list(dict.fromkeys(note for part in parts for note in part["notes"])),
    }
    probabilities = np.concatenate([part["probabilities"] for part in parts]).astype(np.float32)
    labels = np.concatenate([fold.val.labels for fold in folds if fold.val.labels is not None])
    said = np.array(json.dumps(facts))
    replace_file(
        answers_file(job.folder), lambda p: np.savez(p, probabilities=probabilities, labels=labels, facts=said)
    )


def _fold(job: Job, fold: Fold, progress: Any) -> dict[str, Any]:
    """Learn and answer on one fold."""
    folder = job.folder / fold.name if fold.name else job.folder
    task = Task(fold.train, fold.val, folder, job.seed, job.threads, job.budget, job.folder.parent, progress)
    fitted: Fitted = METHODS[job.method].fit(task)
    progress("answering", 1.0)
    start = time.perf_counter()
    p = fitted.predict(fold.val.images)
    return {
        "probabilities": p,
        "answer_seconds": time.perf_counter() - start,
        "size": dict(fitted.size),
        "seconds": fitted.seconds,
        "figures": dict(fitted.figures),
        "notes": fitted.notes,
    }


def _mean(figures: list[dict[str, dict[str, float]]]) -> dict[str, dict[str, float]]:
    """The mean over folds of every figure."""
    return {
        kind: {name: float(np.mean([f[kind][name] for f in figures])) for name in values}
        for kind, values in figures[0].items()
    }


def _peak_memory() -> float | None:
    """The most memory that this process held, plus that of its largest child, in MB; ``None`` where nobody says."""
    if sys.platform == "win32":
        return None
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    peaks = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(peaks) * unit / 1e6
