"""The processors that a process may use, in made-up trees of ``/proc`` and ``/sys``."""

from __future__ import annotations

import os

import pytest

from mien.runtime.processors import processors

V1 = "cpu,cpuacct"


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine of 64 processors, of which this process may use all; files are written below its root."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)

    def write(groups, **files):
        for name, text in {"proc/self/cgroup": groups, **files}.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return processors(tmp_path)

    return write


def test_without_groups_affinity_counts(machine, monkeypatch):
    assert machine("0::/\n") == 64
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5})
    assert machine("0::/\n") == 2


def test_without_affinity_and_without_files_the_machine_counts(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    assert processors(tmp_path) == 3
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert processors(tmp_path) == 1


@pytest.mark.parametrize(
    ("limit", "count"),
    [
        ("200000 100000", 2),
        ("150000 100000", 2),
        ("20000 100000", 1),
        ("max 100000", 64),
        ("", 64),
        ("x y", 64),
        ("0 0", 64),
    ],
)
def test_version_2_grants_microseconds_in_a_period(machine, limit, count):
    assert machine("0::/\n", **{"sys/fs/cgroup/cpu.max": limit}) == count


def test_in_version_2_the_tightest_group_on_the_way_up_counts(machine):
    files = {"a/b/cpu.max": "max 100000", "a/cpu.max": "300000 100000", "cpu.max": "500000 100000"}
    assert machine("0::/a/b\n", **{f"sys/fs/cgroup/{name}": text for name, text in files.items()}) == 3


@pytest.mark.parametrize("folder", ["cpu", V1])
@pytest.mark.parametrize("group", ["docker/1a2b", ""])
def test_version_1_has_quota_and_period_in_the_cpu_hierarchy(machine, folder, group):
    """Docker shows a container its own group as the root of the hierarchy, while /proc names it as the host does."""
    at = f"sys/fs/cgroup/{folder}/{group}".rstrip("/")
    files = {f"{at}/cpu.cfs_quota_us": "350000\n", f"{at}/cpu.cfs_period_us": "100000\n"}
    assert machine(f"5:memory:/x\n4:{V1}:/docker/1a2b\n0::/y\n", **files) == 4


def test_version_1_without_a_quota_grants_all(machine):
    files = {"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n"}
    assert machine("4:cpu:/\n", **files) == 64


@pytest.mark.parametrize("groups", ["", "nonsense", "0::/../../other", "4:cpu:", "::::"])
def test_what_cannot_be_understood_limits_nothing(machine, groups):
    assert machine(groups) == 64


def test_on_this_machine_there_is_at_least_one():
    assert 1 <= processors() <= (os.cpu_count() or 1)
