"""audit: copies, near-duplicates, contradictions and empty pictures; against a slow way and FER2013's known counts."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import cv2
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from mien.cli.audit import audit as command
from mien.data import FaceDataset
from mien.data import duplicates as module
from mien.data.audit import audit
from mien.data.duplicates import near_duplicates
from mien.errors import ConfigError, MienError, OutputError
from mien.visualization.audit_figure import audit_sheet, contact_sheet

NAMES = ("calm", "cross", "glad")


def pictures(n, seed=0):
    """Unlike each other at 24 x 24 pixels: blurred noise, uint8 ``(n, 48, 48)``."""
    noise = np.random.default_rng(seed).random((n, 12, 12)).astype(np.float32) * 200 + 20
    return (
        np.stack([cv2.resize(i, (48, 48), interpolation=cv2.INTER_CUBIC) for i in noise]).clip(0, 255).astype(np.uint8)
    )


@pytest.fixture
def spoiled():
    """Twelve Training and eight PublicTest images with every defect, rows numbered from 100."""
    train, test = pictures(12), pictures(8, seed=1)
    train[3] = train[1]  # exact copy, other label
    train[4] = 9  # even grey
    train[6] = train[5]  # exact copy, same label
    train[8] = train[7][:, ::-1]  # mirrored: near copy within
    test[0] = train[1]  # exact copy across, two labels in Training
    test[1] = train[9][:, ::-1]  # mirrored across, label agrees
    test[2] = np.clip(train[10] * 0.6 + 50 + np.random.default_rng(2).normal(0, 4, (48, 48)), 0, 255)  # paler, noisy
    test[3] = 9  # even grey, exact copy across
    test[5] = test[4]  # exact copy within
    labels = np.array([0, 0, 1, 2, 0, 1, 1, 2, 2, 0, 0, 2, 1, 0, 2, 0, 1, 1, 2, 2])
    return FaceDataset(
        images=np.concatenate([train, test]),
        names=NAMES,
        labels=labels,
        split=np.array(["Training"] * 12 + ["PublicTest"] * 8),
        rows=np.arange(100, 120),
        not_face=np.arange(20) == 13,
        source="spoiled.csv",
    )


def slow_correlation(a, b):
    """The largest of two correlations, one image at a time, with numpy's own formula."""
    small = [cv2.resize(x.astype(np.float64), (24, 24), interpolation=cv2.INTER_AREA) for x in (a, b)]
    if any(s.std() == 0 for s in small):
        return 0.0
    return max(np.corrcoef(s.ravel(), small[1].ravel())[0, 1] for s in (small[0], small[0][:, ::-1]))


def test_audit_finds_every_planted_defect(spoiled):
    found = audit(spoiled, within=True)
    assert found.images == {"Training": 12, "PublicTest": 8}
    assert found.copies == 5
    assert found.copies_within == {"Training": 2, "PublicTest": 1}
    assert found.near_within == {"Training": 6, "PublicTest": 2}
    assert found.conflicts == ((101, 103, 112),)
    assert found.constant == {"Training": (104,), "PublicTest": (115,)}
    assert found.not_face == {"Training": (), "PublicTest": (113,)}
    (across,) = found.across
    assert (across.split, across.other, across.images) == ("PublicTest", "Training", 8)
    assert (across.exact, across.near) == (2, 4)
    assert [(p.row, p.duplicate, p.label, p.duplicate_label) for p in across.pairs] == [
        (112, 101, "cross", "calm"),
        (113, 109, "calm", "calm"),
        (114, 110, "glad", "calm"),
        (115, 104, "calm", "calm"),
    ]
    assert across.agreement == 0.5
    assert across.pairs[0].correlation == 1.0
    assert 0.9 <= across.pairs[2].correlation < 0.9999


def test_correlations_agree_with_a_slow_way(spoiled):
    train, test = spoiled.part("Training").images, spoiled.part("PublicTest").images
    table = np.array([[slow_correlation(a, b) for b in train] for a in test])
    best, where = module.closest(module.thumbnails(test), module.thumbnails(train))
    assert np.allclose(best, table.max(1), atol=1e-5)
    clear = table.max(1) > 0  # an even grey is equally far from all
    assert np.array_equal(where[clear], table.argmax(1)[clear])
    for threshold in (0.2, 0.5, 0.9):
        exact = [any(np.array_equal(a, b) for b in train) for a in test]
        assert np.array_equal(near_duplicates(test, train, threshold), exact | (table.max(1) >= threshold))


def test_near_duplicates_within_agree_with_a_slow_way_at_any_block_size(spoiled, monkeypatch):
    images = spoiled.part("Training").images
    for threshold in (0.3, 0.9):
        slow = sum(
            any(i != j and (np.array_equal(a, b) or slow_correlation(a, b) >= threshold) for j, b in enumerate(images))
            for i, a in enumerate(images)
        )
        for block in (1, 5, 512):
            monkeypatch.setattr(module, "_BLOCK", block)
            assert audit(spoiled, threshold=threshold, within=True).near_within["Training"] == slow


def test_near_duplicates_mark_copies_and_leave_strangers(spoiled):
    train, test = spoiled.part("Training").images, spoiled.part("PublicTest").images
    assert np.flatnonzero(near_duplicates(test, train)).tolist() == [0, 1, 2, 3]
    assert np.flatnonzero(near_duplicates(test, train, 1.0)).tolist() in (
        [0, 3],
        [0, 1, 3],
    )  # a mirrored copy is 1 but for rounding
    assert not near_duplicates(test, train[:0]).any()
    assert near_duplicates(test[:0], train).shape == (0,)


def test_near_duplicates_compare_pictures_of_different_sizes():
    train = pictures(6)
    larger = np.stack([cv2.resize(i, (96, 96), interpolation=cv2.INTER_CUBIC) for i in train[2:4]])
    assert near_duplicates(larger, train).all()
    assert not near_duplicates(larger, train[4:]).any()


@pytest.mark.parametrize("threshold", [0, -0.5, 1.01, float("nan")])
def test_a_threshold_outside_its_range_is_refused(spoiled, threshold):
    for call in (
        lambda: audit(spoiled, threshold=threshold),
        lambda: near_duplicates(spoiled.images, spoiled.images, threshold),
    ):
        with pytest.raises(ConfigError, match="threshold must lie in"):
            call()


def test_audit_needs_neither_labels_nor_splits_nor_rows(spoiled):
    bare = audit(FaceDataset(images=spoiled.images, names=()), within=True)
    assert (bare.images, bare.copies, bare.across, bare.conflicts, bare.not_face) == ({"": 20}, 5, (), (), None)
    unlabelled = audit(replace(spoiled, labels=None))
    assert unlabelled.across[0].agreement is None
    assert unlabelled.across[0].pairs[0].label == ""
    assert unlabelled.near_within is None
    nothing = audit(spoiled.take([]), within=True)
    assert (nothing.images, nothing.copies, nothing.across) == ({}, 0, ())


def test_training_is_what_others_are_compared_with_wherever_it_stands(spoiled):
    turned = audit(spoiled.take(np.arange(20)[::-1]))
    assert [(a.split, a.other, a.exact, a.near) for a in turned.across] == [("PublicTest", "Training", 2, 4)]
    three = replace(spoiled, split=np.array(["PrivateTest"] * 4 + ["PublicTest"] * 8 + ["Training"] * 8))
    assert [(a.split, a.other) for a in audit(three).across] == [
        ("PublicTest", "Training"),
        ("PrivateTest", "Training"),
        ("PrivateTest", "PublicTest"),
    ]


def test_progress_rises_to_its_total(spoiled, monkeypatch):
    monkeypatch.setattr(module, "_BLOCK", 5)
    seen = []
    audit(spoiled, within=True, progress=lambda done, of: seen.append((done, of)))
    assert all(a < b for a, b in pairwise(done for done, _ in seen))
    assert seen[-1] == (28, 28)
    assert {of for _, of in seen} == {28}


def test_to_dict_holds_every_finding(spoiled):
    found = audit(spoiled)
    read = json.loads(json.dumps(found.to_dict()))
    assert read["conflicts"] == [[101, 103, 112]]
    assert read["across"][0]["pairs"][1]["duplicate"] == 109
    assert read["fingerprint"] == spoiled.fingerprint
    assert set(read) == set(found.__dataclass_fields__)


def test_contact_sheet_lays_out_row_by_row():
    images = np.arange(5, dtype=np.uint8)[:, None, None] + np.zeros((1, 4, 6), np.uint8)
    sheet = contact_sheet(images, 3)
    assert sheet.shape == (8, 18)
    assert [int(sheet[4 * (i // 3) + 1, 6 * (i % 3) + 1]) for i in range(6)] == [0, 1, 2, 3, 4, 255]
    assert contact_sheet(images[:0], 3).shape == (0, 18)
    with pytest.raises(ConfigError, match="columns must be at least 1, got 0"):
        contact_sheet(images, 0)


def test_audit_sheet_shows_the_pairs_side_by_side(spoiled):
    sheet = audit_sheet(spoiled, audit(spoiled))
    assert sheet.dtype == np.uint8
    big = cv2.resize(spoiled.images[1], (96, 96), interpolation=cv2.INTER_NEAREST)
    assert np.array_equal(sheet[17:113, 2:98], big)  # row 101 and its copy, labelled otherwise
    assert np.array_equal(sheet[17:113, 100:196], big)
    one = audit_sheet(spoiled, audit(spoiled), most=1)
    assert one.shape[1] == sheet.shape[1]
    clean = spoiled.take([0, 2, 11])
    assert audit_sheet(clean, audit(clean)).shape[0] < 20  # one line that says so


# ------------------------------------------------------------------------------------------------------- command line


@pytest.fixture
def app():
    app = typer.Typer()
    app.command()(command)
    return app


@pytest.fixture
def csv(spoiled, tmp_path, monkeypatch):
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "faces.csv"
    lines = ["emotion,pixels,Usage"]
    for image, label, split in zip(spoiled.images, spoiled.labels, spoiled.split, strict=True):
        lines.append(f"{label},{' '.join(map(str, image.ravel()))},{split}")
    path.write_text("\n".join(lines) + "\n")
    return path


def run(app, *arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments])


def test_command_prints_a_table_and_writes_json_and_sheet(app, csv, tmp_path):
    out = run(app, csv, "--within", "--out", tmp_path / "a.json", "--sheet", tmp_path / "a.png")
    assert out.exit_code == 0, out.output
    assert "exact copy or near-duplicate in Training" in out.stdout
    assert "4 of 8 images in PublicTest (50.0 %) have a copy in Training; the labels agree for 50.0 %" in out.stdout
    found = json.loads((tmp_path / "a.json").read_text())
    assert found["copies_within"] == {"Training": 2, "PublicTest": 1}
    assert found["near_within"] == {"Training": 6, "PublicTest": 2}
    assert cv2.imread(str(tmp_path / "a.png"), cv2.IMREAD_GRAYSCALE).shape[1] == 8 * 200


def test_command_prints_nothing_but_json_on_stdout(app, csv):
    out = run(app, csv, "--json")
    assert json.loads(out.stdout)["conflicts"] == [[1, 3, 12]]


def test_command_skips_and_names_bad_rows_on_stderr(app, csv):
    csv.write_text(csv.read_text() + "1,1 2 three,Training\n")
    with pytest.raises(MienError):
        raise run(app, csv).exception
    out = run(app, csv, "--skip-bad", "--json")
    assert "22" in out.stderr
    assert json.loads(out.stdout)["images"] == {"Training": 12, "PublicTest": 8}


def test_command_refuses_a_sheet_that_is_no_png_before_it_works(app, csv, tmp_path):
    with pytest.raises(ConfigError, match=r"must name a .png file"):
        raise run(app, csv, "--sheet", tmp_path / "a.jpg").exception
    with pytest.raises(OutputError):
        raise run(app, csv, "--sheet", tmp_path / "missing" / "a.png").exception


# ---------------------------------------------------------------------------------------------------------- real data


@pytest.mark.slow
def test_fer2013_has_the_defects_that_are_known_of_it(fer2013_path, ferplus_path):
    from mien.data import read_faces

    ds = read_faces(fer2013_path, votes=ferplus_path)
    found = audit(ds)
    assert found.images == {"Training": 28709, "PublicTest": 3589}
    assert found.copies_within == {"Training": 1237, "PublicTest": 26}
    assert found.copies == 1533
    assert {s: len(r) for s, r in found.constant.items()} == {"Training": 11, "PublicTest": 1}
    assert {s: len(r) for s, r in found.not_face.items()} == {"Training": 150, "PublicTest": 10}
    assert (len(found.conflicts), sum(map(len, found.conflicts))) == (48, 131)
    (across,) = found.across
    assert across.exact == 280
    assert across.near == 605  # 604 by correlation, and one even grey that is an exact copy
    assert Counter(p.label == p.duplicate_label for p in across.pairs) == {True: 530, False: 75}
    marked = near_duplicates(ds.part("PublicTest").images[:200], ds.part("Training").images)
    assert set(np.flatnonzero(marked) + 28709) == {p.row for p in across.pairs if p.row < 28709 + 200}
