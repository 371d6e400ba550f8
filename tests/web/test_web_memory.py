"""Freed memory goes back to the system, and not at every call."""

from __future__ import annotations

import sys

import pytest

from mien.web.memory import Trimmer


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's malloc_trim is Linux's")
def test_memory_is_given_back_at_most_once_in_a_while() -> None:
    trim = Trimmer(every=3600)
    assert [trim(), trim()] == [trim._trim is not None, False]
    assert Trimmer(every=0)() == (trim._trim is not None)
