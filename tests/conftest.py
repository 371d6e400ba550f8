"""Fixtures for real data, which are never part of the repository: tests that need them are skipped without them.

And a list, at the end of a run, of what was not run for want of a browser, another program or a large package.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from needs import REASONS, missing, required

LEAN = bool(os.environ.get("MIEN_LEAN"))
if LEAN:
    from lean import pytest_make_collect_report, pytest_runtest_makereport, pytest_runtest_protocol, summary  # noqa: F401

# one thread a process: the suite runs a process per core, and threads that wait for each other are slower than none
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers("needs"):
        if missing(mark.args[0]):
            if required(mark.args[0]):
                pytest.fail(f"{mark.args[0]}, which MIEN_REQUIRE_... says is there", pytrace=False)
            pytest.skip(mark.args[0])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name every test that a missing program kept from running: it must not look as if all was well."""
    skipped = terminalreporter.stats.get("skipped", [])
    for reason in REASONS:
        if names := sorted(report.nodeid for report in skipped if reason in str(report.longrepr)):
            terminalreporter.section(f"{len(names)} tests were not run: {reason}", yellow=True)
            for name in names:
                terminalreporter.line(name)
    if LEAN and (names := summary(skipped)):
        terminalreporter.section("tests and files that were not run for want of a package", yellow=True)
        terminalreporter.line(names)


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
