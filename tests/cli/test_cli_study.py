"""``mien study``: the walk-through of docs/study.md in small, tables that are there, and what cannot be used."""

from __future__ import annotations

import csv
import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from onnx_nets import write_net
from typer.testing import CliRunner

from mien.cli import app
from mien.errors import ConfigError
from mien.results.cells import csv_line
from mien.results.provenance import write_sidecar
from mien.results.schema import columns
from mien.study.analysis import figures, recorded

LABELS = ("angry", "happy", "neutral")
PAGE = Path(__file__).parents[2] / "docs" / "study.md"
RUN = {
    "run": "r0123456789ab",
    "mien": "0.1.0",
    "model": {"name": "tiny", "sha256": "ab" * 32, "labels": list(LABELS), "scores": {}},
    "detector": {"name": "none"},
    "settings": {"hold": 0.4, "smooth": 0.3, "max_gap": 10.0, "fps": None},
}


def run(*arguments):
    return CliRunner().invoke(app, [*map(str, arguments)])


def read(path):
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def quick(monkeypatch):
    """Without drawing: another test looks at figures."""
    monkeypatch.setattr(figures, "draw_figures", lambda study, folder: {})


def write_table(path, said, rate=10.0):
    """A table of ``mien video``: probabilities a frame, None for one without a face."""
    kinds = columns(LABELS, video=True, file=True)
    rows = []
    for i, p in enumerate(said):
        row = {"time": round(i / rate, 4), "frame": i, "face": 0, "outcome": "no face", "model": "tiny"}
        if p is not None:
            label = LABELS[int(np.argmax(p))]
            row |= {"face": 1, "track": 1, "outcome": "faces", "label": label, "confidence": max(p), "usable": True}
            row |= {**dict(zip(LABELS, p, strict=True)), "uncertain": max(p) < 0.5}
        rows.append(csv_line(row.get(name) for name in kinds))
    path.write_text(csv_line(kinds) + "".join(rows), encoding="utf-8")
    write_sidecar(path, RUN)


@pytest.fixture
def study(tmp_path):
    """Ten people who smile in b, not in a; they rest with a stern face. One of them is hidden most of the time."""
    results, rng = tmp_path / "results", np.random.default_rng(0)
    results.mkdir()
    lines = ["recording,participant,condition,start,end,baseline\n"]
    for n in range(10):
        stern = [(0.5 + e, 0.05, 0.45 - e) for e in rng.uniform(-0.04, 0.04, 60)]
        smile = [(0.2, 0.7, 0.1) if i > 5 + n else p for i, p in enumerate(stern[:20])]
        said = [*stern[:20], *stern[20:40], *smile]
        write_table(results / f"p{n}.csv", [None if n == 9 and i > 20 else p for i, p in enumerate(said)])
        lines += [f"p{n}.mp4,{n},,0,2,yes\n", f"p{n}.mp4,{n},a,2,4,\n", f"p{n}.mp4,{n},b,4,6,\n"]
    lines += ["p0.mp4,0,a,5,3,\n", "gone.mp4,11,a,0,2,\n"]
    (tmp_path / "design.csv").write_text("".join(lines), encoding="utf-8")
    return tmp_path


def test_the_walk_through_runs_as_it_is_written(tmp_path, monkeypatch):
    part = PAGE.read_text(encoding="utf-8").split("<!-- walk-through")[1].split("<!-- /walk-through -->")[0]
    commands = [
        shlex.split(line) for block in re.findall(r"```console\n(.*?)```", part, re.S) for line in block.splitlines()
    ]
    assert [words[1] for words in commands] == ["data", "study", "study", "study"]
    net = str(write_net(tmp_path / "tiny.onnx"))
    tiny = {
        "data": ["--participants", "6", "--seconds", "1", "--fps", "5"],
        "study": ["--model", net, "--detector", "none", "--min-seconds", "0.5"],
    }
    monkeypatch.chdir(tmp_path)
    for i, words in enumerate(commands):
        if i == 2:
            monkeypatch.setattr(figures, "draw_figures", lambda study, folder: {})
        result = run(*words[1:], *tiny[words[1]])
        assert result.exit_code == (0 if i == 0 else 1), result.exception or result.output  # one film is damaged
        if i == 1:
            assert "not used: films/p07.mp4" in result.stderr
    out = tmp_path / "made-up" / "study"
    assert {p.name for p in (out / "figures").iterdir()} == {
        f"{name}.{kind}" for name in ("conditions", "curves", "stimuli", "missing") for kind in ("svg", "png")
    }
    tables = ("stretches", "conditions", "stimuli", "wide", "tests", "curves", "exclusions")
    assert {p.name for p in (out / "tables").iterdir()} == {
        f"{t}.{kind}" for t in tables for kind in ("csv", "parquet", "sav")
    }
    page = (out / "study.html").read_text(encoding="utf-8")
    assert (out / "methods.txt").read_text(encoding="utf-8").strip()[:60] in page
    assert page.count("data:image/svg+xml;base64,") == 4
    assert not re.search(r"(src|href)=\"(?!data:)", page)
    assert len(read(out / "tables" / "stretches.csv")) == 6 * 4
    assert {r["measure"] for r in read(tmp_path / "made-up" / "latency" / "tables" / "tests.csv")} == {"latency"}


def test_a_planted_smile_is_found_relative_to_a_stern_rest(study, quick):
    result = run("study", study / "design.csv", "--results", study / "results", "--out", study / "out")
    assert result.exit_code == 1
    assert "design.csv, line 32: ends at 3 s, not after its start at 5 s" in result.stderr
    assert "gone.mp4" in result.stderr
    tests = {r["label"]: r for r in read(study / "out" / "tables" / "tests.csv")}
    happy = tests["happy"]
    assert (happy["participants"], happy["scores"], happy["real"]) == ("9", "relative", "1")
    smiles = [(20 - 6 - n) / 20 for n in range(9)]  # frames of 20
    assert float(happy["difference"]) == pytest.approx(np.mean(smiles), abs=1e-6)
    assert float(happy["p"]) == pytest.approx(2 / 2**9, abs=1e-6)
    rows = read(study / "out" / "tables" / "conditions.csv")
    rest = {(r["scores"], r["label"]): r for r in rows if (r["participant"], r["condition"]) == ("0", "a")}
    assert float(rest["plain", "angry"]["share"]) > 0.8
    assert float(rest["relative", "neutral"]["share"]) == 1.0
    smile = next(
        r
        for r in rows
        if (r["participant"], r["condition"], r["scores"], r["label"]) == ("3", "b", "relative", "happy")
    )
    assert float(smile["latency"]) == pytest.approx(0.9)
    assert float(smile["mean_length"]) == pytest.approx(1.1)


def test_what_is_left_out_is_listed_and_told_in_the_paragraph(study, quick):
    run("study", study / "design.csv", "--results", study / "results", "--out", study / "out")
    out = {(r["level"], r["rule"]): r for r in read(study / "out" / "tables" / "exclusions.csv")}
    assert out["participant", "share of stretches left out"]["participant"] == "9"
    assert float(out["stretch", "share missing"]["value"]) > 0.5
    assert out["recording", "cannot be used"]["recording"] == "gone.mp4"
    told = (study / "out" / "methods.txt").read_text(encoding="utf-8")
    for words in (
        "network tiny, SHA-256 " + "ab" * 8,
        "9 participants remained",
        "no face 9.8 %",
        "Holm",
        "11 participants",
    ):
        assert words in told, told
    facts = json.loads((study / "out" / "study.json").read_text(encoding="utf-8"))
    assert facts["counts"]["participants"] == 9
    assert len(facts["not_used"]) == 2


def test_odd_stretches_and_tables_are_named_and_the_others_analysed(study, quick, monkeypatch):
    results, design = study / "results", study / "design.csv"
    for name in ("half", "blank", "=x"):
        write_table(results / f"{name}.csv", [(0.2, 0.7, 0.1)] * 60)
    write_sidecar(results / "half.csv", {**RUN, "complete": False, "video": {"sha256": "ab"}})
    (results / "blank.csv").write_text((results / "blank.csv").read_text().replace("\n0.1,", "\n,", 1))
    listed = [("=films/x.mp4", "=x", "=x.csv"), ("b.mp4", "b", "blank.csv")]
    (results / "recordings.csv").write_text("source,name,table\n" + "".join(map(csv_line, listed)))
    with design.open("a") as file:
        file.write("p0.mp4,0,a,6,,\np0.mp4,0,b,600,,\nhalf.mp4,12,a,0,2,\nb.mp4,13,a,0,2,\n=films/x.mp4,14,a,0,2,\n")
    seen = list[Path]()
    person = recorded.Recorded.person
    monkeypatch.setattr(recorded.Recorded, "person", lambda r, *a, **k: seen.append(r.path) or person(r, *a, **k))
    result = run("study", design, "--results", results, "--out", study / "out")
    assert "half.mp4: " in result.stderr
    assert "is not whole, mien video was stopped: run it again" in result.stderr
    assert "blank.csv:3: could not convert" in result.stderr
    assert len(seen) == len(set(seen)), "the frames of a person are made once, however many stretches they have"
    gone = {r["line"]: r["rule"] for r in read(study / "out" / "tables" / "exclusions.csv")}
    assert [gone.get(line) for line in ("34", "35")] == ["share missing"] * 2
    assert {r["participant"] for r in read(study / "out" / "tables" / "stretches.csv")} >= {"0", "14"}


def test_all_three_forms_of_a_table_say_the_same(study, quick):
    pyreadstat, pq = pytest.importorskip("pyreadstat"), pytest.importorskip("pyarrow.parquet")
    run("study", study / "design.csv", "--results", study / "results", "--out", study / "out", "--excel")
    assert (study / "out" / "tables" / "tests.csv").read_bytes().startswith(b"\xef\xbb\xbfmeasure,")
    for name in ("conditions", "wide"):
        path = study / "out" / "tables" / f"{name}.csv"
        rows = read(path)
        sav, meta = pyreadstat.read_sav(str(path.with_suffix(".sav")))
        parquet = pq.read_table(path.with_suffix(".parquet")).to_pylist()
        assert len(rows) == len(sav) == len(parquet)
        for row, other, (_, third) in zip(rows, parquet, sav.iterrows(), strict=True):
            assert {k: v for k, v in row.items() if v} == {k: str(v) for k, v in other.items() if v is not None}
            assert next(iter(row.values())) == third.iloc[0]
        number = next(i for i, column in enumerate(rows[0]) if "latency" in column)
        expected = [float(v) if (v := list(r.values())[number]) else np.nan for r in rows]
        np.testing.assert_allclose(sav.iloc[:, number].to_numpy(float), expected)
        assert meta.column_labels[number]
    assert "NaN" not in (study / "out" / "tables" / "conditions.csv").read_text()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--measure", "joy"], "--measure must be one of share"),
        (["--test", "anova"], "--test must be one of permutation, mixed"),
        (["--max-missing", "50"], "--max-missing must be a share"),
        (["--baseline", "0-2"], "--baseline of a study must be median"),
        (["--results", "nowhere"], "--results must be a folder"),
        (["--max-missing", "0", "--min-seconds", "9"], "nothing is left to analyse"),
        (["--resume", "--force"], "exclude each other"),
    ],
)
def test_what_is_asked_for_wrongly_is_named(study, quick, flags, words):
    given = [] if "--results" in flags else ["--results", study / "results"]
    result = run("study", study / "design.csv", "--out", study / "out", *given, *flags)
    assert isinstance(result.exception, ConfigError)
    assert words in str(result.exception)


def test_a_study_is_not_overwritten_unasked(study, quick):
    given = ("study", study / "design.csv", "--results", study / "results", "--out", study / "out")
    run(*given)
    assert "--resume keeps the recordings" in str(run(*given).exception)
    assert run(*given, "--resume").exit_code == 1
