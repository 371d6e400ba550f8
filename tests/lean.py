"""Tests on a lean installation (``MIEN_LEAN=1``): what needs a package that is not there is skipped, counted and named.

So one suite serves Pythons that have everything and Pythons that have the core: which tests run is decided by what is
installed, not by a list. Without the variable a missing package fails a test, as it should where all are installed.
"""

from __future__ import annotations

import importlib.util
from collections import Counter
from collections.abc import Generator

import pytest

from mien.errors import MissingExtra

__all__ = ["pytest_make_collect_report", "pytest_runtest_makereport", "pytest_runtest_protocol", "summary"]

_REASON = "not installed here: "
_raised: list[BaseException] = []  # the MissingExtra of the test that runs: a command turns them into an exit code


def _missing(error: BaseException | None) -> str:
    """The package for want of which something was raised, "" where that was not the reason."""
    while error is not None:
        if isinstance(error, ModuleNotFoundError) and error.name:
            name = error.name.split(".")[0]
            if name != "mien" and importlib.util.find_spec(name) is None:
                return name
        error = error.__cause__ or error.__context__
    return ""


def _skip(report: pytest.CollectReport | pytest.TestReport, name: str) -> None:
    report.outcome = "skipped"
    report.longrepr = (report.nodeid.split("::")[0], 1, f"Skipped: {_REASON}{name}")


def _recorded(self: MissingExtra, *args: object) -> None:
    Exception.__init__(self, *args)
    _raised.append(self)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """A file that imports what is missing."""
    report = yield
    call = vars(report).get("call")
    if report.failed and call is not None and (name := _missing(call.excinfo.value)):
        _skip(report, name)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol() -> Generator[None, object, object]:
    _raised.clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MissingExtra, "__init__", _recorded)
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test, or a fixture of it, that needs what is missing."""
    report = yield
    if report.failed and call.excinfo is not None:
        found = (_missing(error) for error in (call.excinfo.value, *_raised))
        if name := next(filter(None, found), ""):
            _skip(report, name)
    return report


def summary(skipped: list[pytest.TestReport | pytest.CollectReport]) -> str:
    """How many tests (a file that cannot be imported counts as one) each missing package kept from running."""
    reasons = (str(report.longrepr) for report in skipped)
    counts = Counter(r.split(_REASON)[1].rstrip("')\n ") for r in reasons if _REASON in r)
    return ", ".join(f"{name} {n}" for name, n in counts.most_common())
