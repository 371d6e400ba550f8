"""A small net and a small album for the tests of ``mien predict``."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from onnx_nets import write_net

ASTRONAUT = Path(__file__).parents[2] / "examples" / "astronaut.jpg"


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    return str(write_net(tmp_path_factory.mktemp("nets") / "tiny.onnx"))


@pytest.fixture
def album(tmp_path):
    """One face, none, one that is no picture, and a file that is not looked at."""
    folder = tmp_path / "album"
    folder.mkdir()
    shutil.copy(ASTRONAUT, folder / "a.jpg")
    cv2.imwrite(str(folder / "b.png"), np.full((90, 120, 3), 99, np.uint8))
    (folder / "c.jpg").write_bytes(b"not a picture")
    (folder / "notes.txt").write_text("x")
    return folder
