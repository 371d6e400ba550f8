"""The notebooks run from the first cell to the last, on tiny data, and their outputs are small."""

from __future__ import annotations

import json
import re
import subprocess

import numpy as np
import pytest
from needs import needs_r

from docs.site.notebooks import NOTEBOOKS, execute

for module in ("torch", "pandas", "cv2"):
    pytest.importorskip(module)
pandas = pytest.importorskip("pandas")


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=[n.stem for n in NOTEBOOKS])
def test_a_notebook_runs_and_holds_small_outputs(notebook, tmp_path):
    kept = json.loads(notebook.read_text(encoding="utf-8"))
    assert (kept["nbformat"], notebook.stat().st_size < 200_000) == (4, True)
    found = execute(notebook, tmp_path)
    for cells in (found["cells"], kept["cells"]):
        assert all(cell["outputs"] for cell in cells if cell["cell_type"] == "code")


@needs_r
def test_the_study_in_r_says_what_it_says_in_python(tmp_path):
    study = next(n for n in NOTEBOOKS if n.stem == "3-study")
    cells = json.loads(study.read_text(encoding="utf-8"))["cells"]
    (block,) = re.findall(r"```r\n(.*?)```", "\n".join("".join(c["source"]) for c in cells), re.DOTALL)
    rows = [
        ("faces", 1, 0, 1, "happy"),
        ("faces", 1, 0, 1, "happy"),
        ("faces", 1, 0, 1, "sad"),
        ("faces", 1, 0, 2, "sad"),
    ]
    rows += [("faces", 1, 1, 1, "angry"), ("unusable", 0, 0, 1, "angry"), ("no face", "", "", "", "")]
    lines = ["outcome,usable,uncertain,track,label", *(",".join(map(str, row)) for row in rows)]
    (tmp_path / "talk.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    found = subprocess.run(["Rscript", "-e", block], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    table = pandas.read_csv(tmp_path / "talk.csv")
    used = table[(table.usable == 1) & (table.uncertain == 0)]
    shares = used.groupby("track").label.value_counts(normalize=True).unstack(fill_value=0)
    last = [line.split() for line in found.splitlines()[-len(shares) :]]
    np.testing.assert_allclose([[float(v) for v in row[1:]] for row in last], shares.to_numpy(), atol=1e-6)
    assert re.search(r"faces\s+no face\s+unusable\s+5\s+1\s+1", found)


def test_there_are_three():
    assert len(NOTEBOOKS) == 3


def test_a_cell_that_fails_fails_the_notebook(tmp_path):
    bad = tmp_path / "bad.ipynb"
    bad.write_text(json.dumps({"cells": [{"cell_type": "code", "source": ["1 / 0"]}]}))
    with pytest.raises(ZeroDivisionError):
        execute(bad, tmp_path)
