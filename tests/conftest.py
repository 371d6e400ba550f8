"""Fixtures for real data, which are never part of the repository: tests that need them are skipped without them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# one thread a process: the suite runs a process per core, and threads that wait for each other are slower than none
os.environ.setdefault("OMP_NUM_THREADS", "1")


def _real(variable: str) -> Path:
    path = os.environ.get(variable, "")
    if not Path(path).is_file():
        pytest.skip(f"set {variable} to the file to run this on real data")
    return Path(path)


@pytest.fixture
def fer2013_path() -> Path:
    """FER2013 as CSV, plain or gzip."""
    return _real("MIEN_FER2013")


@pytest.fixture
def ferplus_path() -> Path:
    """The FER+ votes."""
    return _real("MIEN_FERPLUS")


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of each test's own: no test reads or fills the user's."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("MIEN_CACHE", str(folder))
    return folder
