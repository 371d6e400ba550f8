"""Fixtures for real data, which are never part of the repository: tests that need them are skipped without them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# one thread a process: the suite runs a process per core, and threads that wait for each other are slower than none
os.environ.setdefault("OMP_NUM_THREADS", "1")

_DATA = Path(__file__).resolve().parent.parent.parent / "shared" / "data" / "fer2013"


def _real(variable: str, name: str) -> Path:
    path = Path(os.environ.get(variable, _DATA / name))
    if not path.is_file():
        pytest.skip(f"set {variable} to run this on real data")
    return path


@pytest.fixture
def fer2013_path() -> Path:
    """FER2013 as CSV, plain or gzip."""
    return _real("MIEN_FER2013", "fer2013_public.csv.gz")


@pytest.fixture
def ferplus_path() -> Path:
    """The FER+ votes."""
    return _real("MIEN_FERPLUS", "fer2013new.csv")


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of each test's own: no test reads or fills the user's."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("MIEN_CACHE", str(folder))
    return folder
