"""plots: real PNG files, atomic, without global state, showing what they were given."""

from __future__ import annotations

import subprocess
import sys

import cv2
import numpy as np
import pytest

from mien.errors import ConfigError, MissingExtra, OutputError
from mien.evaluation.metrics import Robustness, score
from mien.labels import FER2013
from mien.reporting import plots

NAMES = FER2013.names


def _history(n):
    keys = ("train_loss", "train_accuracy", "val_loss", "val_accuracy")
    return [{"epoch": e, **dict.fromkeys(keys, 0.3 + 0.01 * e)} for e in range(1, n + 1)]


@pytest.fixture(scope="module")
def report():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 7, 300)
    p = rng.random((300, 7)) + 1.5 * np.eye(7)[labels] * (rng.random((300, 1)) < 0.7)
    return score(p / p.sum(1, keepdims=True), labels, NAMES)


def _pixels(path):
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    assert image is not None
    return image[..., ::-1].astype(int)


def _has(image, hexa):
    wanted = [int(hexa[i : i + 2], 16) for i in (1, 3, 5)]
    return int((np.abs(image - wanted).max(2) <= 2).sum())


@pytest.mark.parametrize("n", [1, 2, 30])
def test_curves_draw_both_lines(tmp_path, n):
    image = _pixels(plots.curves(_history(n), tmp_path / "new" / "curves.png"))
    assert _has(image, "#8d99ae") > 50
    assert _has(image, "#d1495b") > 50
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["curves.png"]


def test_curves_leave_gaps_for_missing_values(tmp_path):
    history = [{**row, "val_loss": None, "val_accuracy": None} for row in _history(5)]
    image = _pixels(plots.curves(history, tmp_path / "c.png"))
    assert _has(image, "#8d99ae") > _has(image, "#d1495b")
    with pytest.raises(ConfigError, match="history"):
        plots.curves([], tmp_path / "d.png")


def test_confusion_is_darkest_where_the_share_is_largest(tmp_path):
    right = score(np.eye(3), np.arange(3), NAMES[:3])
    wrong = score(np.eye(3)[[1, 2, 0]], np.arange(3), NAMES[:3])
    ink = "#1f4e6d"
    first, second = (_pixels(plots.confusion(r, tmp_path / "c.png")) for r in (right, wrong))
    assert _has(first, ink) > 5000
    assert _has(second, ink) > 5000
    assert (first != second).any()


def test_confusion_of_a_class_without_images(tmp_path):
    absent = score(np.eye(3)[[0, 1]], np.array([0, 1]), NAMES[:3])
    assert plots.confusion(absent, tmp_path / "c.png").stat().st_size > 1000


def test_reliability(tmp_path, report):
    assert _has(_pixels(plots.reliability(report, tmp_path / "r.png")), "#68707c") > 50


@pytest.mark.parametrize("kinds", [1, 4, 9])
def test_robustness_has_a_panel_for_each_kind(tmp_path, kinds):
    found = Robustness(10, 0.9, {f"kind_{i}": (0.8, 0.5, 0.1) for i in range(kinds)}, "PublicTest")
    image = _pixels(plots.robustness(found, tmp_path / "r.png"))
    lines = np.abs(image - [0xD1, 0x49, 0x5B]).max(2) <= 2
    height, width = lines.shape
    down = -(-kinds // 3)
    panels = [
        lines[height * row // down : height * (row + 1) // down, width * column // 3 : width * (column + 1) // 3].sum()
        for row in range(down)
        for column in range(3)
    ]
    assert min(panels[:kinds]) > 300
    assert max(panels[kinds:], default=0) < 60  # the rim of a neighbour


def test_leaves_no_global_state(tmp_path):
    pytest.importorskip("matplotlib")
    code = (
        "import sys, matplotlib\n"
        "keys = [k for k in matplotlib.rcParams if k != 'backend']\n"  # asking for it loads pyplot
        "before = [matplotlib.rcParams[k] for k in keys]\n"
        "from mien.reporting import plots\n"
        f"plots.curves({_history(1)!r}, {str(tmp_path / 'b.png')!r})\n"
        "assert [matplotlib.rcParams[k] for k in keys] == before\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_failed_write_leaves_the_old_picture(tmp_path, monkeypatch):
    path = plots.curves(_history(1), tmp_path / "b.png")
    before = path.read_bytes()

    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", full)
    with pytest.raises(OutputError, match=r"b\.png: cannot be written \(No space left"):
        plots.curves(_history(2), path)
    assert path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_missing_matplotlib_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtra, match=r"pip install .*\[train\]"):
        plots.curves(_history(1), tmp_path / "b.png")


def test_speed_names_points_without_covering_them(tmp_path, report, monkeypatch):
    boxes = []
    overlap = plots._overlap
    monkeypatch.setattr(plots, "_overlap", lambda a, b: overlap(a, b) or boxes.append((a, b)) or False)
    found = {f"method-{k}": (100.0 * (1 + k / 500), report) for k in range(6)}  # nearly on one spot
    image = _pixels(plots.speed(found, tmp_path / "s.png"))
    assert _has(image, "#d1495b") > 30
    assert len(boxes) > 6 * 6  # every name was weighed against points and names
    with pytest.raises(ConfigError, match="at least one method"):
        plots.speed({}, tmp_path / "s.png")


def test_overlapping_boxes():
    assert plots._overlap((0, 0, 2, 2), (1, 1, 3, 3))
    assert not plots._overlap((0, 0, 2, 2), (2, 0, 3, 2))
    assert not plots._overlap((0, 0, 2, 2), (0, 3, 2, 4))
