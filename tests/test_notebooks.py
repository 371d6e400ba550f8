"""The notebooks run from the first cell to the last, on tiny data, and their outputs are small."""

from __future__ import annotations

import json

import pytest

from docs.site.notebooks import NOTEBOOKS, execute

for module in ("torch", "pandas", "cv2"):
    pytest.importorskip(module)


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=[n.stem for n in NOTEBOOKS])
def test_a_notebook_runs_and_holds_small_outputs(notebook, tmp_path):
    kept = json.loads(notebook.read_text(encoding="utf-8"))
    assert (kept["nbformat"], notebook.stat().st_size < 200_000) == (4, True)
    found = execute(notebook, tmp_path)
    for cells in (found["cells"], kept["cells"]):
        assert all(cell["outputs"] for cell in cells if cell["cell_type"] == "code")


def test_there_are_three():
    assert len(NOTEBOOKS) == 3


def test_a_cell_that_fails_fails_the_notebook(tmp_path):
    bad = tmp_path / "bad.ipynb"
    bad.write_text(json.dumps({"cells": [{"cell_type": "code", "source": ["1 / 0"]}]}))
    with pytest.raises(ZeroDivisionError):
        execute(bad, tmp_path)
