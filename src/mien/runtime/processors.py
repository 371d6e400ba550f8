"""Which processor this is, and how many of them this process may use: a container or an affinity allows fewer than
the machine has.

Leaves out: how busy they are.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

__all__ = ["processor", "processors"]


def processors(root: Path = Path("/")) -> int:
    """At least 1: the smallest of affinity (which holds cpusets), and the time that cgroups, 1 or 2, grant; rounded up.

    root  where ``proc`` and ``sys`` lie
    """
    try:
        found = len(os.sched_getaffinity(0))
    except (AttributeError, OSError):  # macOS, Windows
        found = os.cpu_count() or 1
    shares = [_ceiling(quota, period) for quota, period in _quotas(root) if quota > 0 and period > 0]
    return max(1, min([found, *shares]))


def processor(root: Path = Path("/")) -> tuple[str, frozenset[str]]:
    """Its name, as Linux or else Python has it, and its features (``avx2``, ``asimd``), none where Linux tells none.

    root  where ``proc`` lies
    """
    name, features = platform.processor() or platform.machine(), set[str]()
    try:
        lines = (root / "proc" / "cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    for line in lines:
        key, _, value = (part.strip() for part in line.partition(":"))
        if key == "model name":
            name = value
        elif key.lower() in ("flags", "features"):
            features.update(value.split())
    return name, frozenset(features)


def _ceiling(quota: int, period: int) -> int:
    return -(-quota // period)


def _quotas(root: Path) -> Iterator[tuple[int, int]]:
    """Microseconds granted in a period, for each group from ours up to the root; a limit counts for all below."""
    mounted = root / "sys" / "fs" / "cgroup"
    for controllers, group in _groups(root):
        if controllers == "":  # version 2
            for folder in _upwards(mounted, group):
                yield from _pair(_words(folder / "cpu.max"))
        elif "cpu" in controllers.split(","):
            for name in ("cpu", controllers):
                for folder in _upwards(mounted / name, group):
                    yield from _pair(_words(folder / "cpu.cfs_quota_us") + _words(folder / "cpu.cfs_period_us"))


def _groups(root: Path) -> Iterator[tuple[str, str]]:
    """Controllers and path of each group this process is in: ``("cpu,cpuacct", "/docker/1a2b")``; "" is version 2."""
    try:
        lines = (root / "proc" / "self" / "cgroup").read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        yield controllers, group


def _upwards(mounted: Path, group: str) -> Iterator[Path]:
    """The group's folder and those above it. A container often sees its own group as the root, under another path."""
    parts = PurePosixPath(group).parts[1:]
    if ".." in parts:  # a group outside of the namespace
        parts = ()
    for depth in range(len(parts), -1, -1):
        yield mounted.joinpath(*parts[:depth])


def _words(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return []


def _pair(words: list[str]) -> Iterator[tuple[int, int]]:
    """``["200000", "100000"]`` -> that pair; ``max``, -1 and anything else grants all."""
    if len(words) == 2 and all(word.isdecimal() for word in words):
        yield int(words[0]), int(words[1])
