"""Diagnosis: variants of a face, verdicts, photos without a face, the text and the picture."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from onnx_nets import write_net
from typer.testing import CliRunner

from mien.cli import app
from mien.diagnostics import GAMMAS, MARGINS, TURNS, FaceDiagnosis, Sweep, diagnose
from mien.errors import DataError, OutputError
from mien.faces import Detection
from mien.labels import FER2013
from mien.preprocessing import crop_face
from mien.runtime import Predictor
from mien.visualization.diagnosis_figure import MAX_REPORTS, draw_inspection, measured_lines, search_words

ASTRONAUT = Path(__file__).parent.parent / "examples" / "astronaut.jpg"


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    return str(write_net(tmp_path_factory.mktemp("nets") / "tiny.onnx"))


@pytest.fixture(scope="module")
def found(net):
    return diagnose(Predictor(net, threads=1), str(ASTRONAUT))


class Fixed:
    """A detector that always finds the same boxes."""

    def __init__(self, *boxes):
        self.boxes = boxes

    def detect(self, image):
        return [Detection(box, 0.9) for box in self.boxes]


def run(*arguments):
    return CliRunner().invoke(app, ["inspect", *map(str, arguments), "--threads", "1"])


def test_the_unchanged_variant_of_every_sweep_is_the_face_s_own_answer(found):
    (report,) = found.faces
    own = list(report.face.probabilities.values())
    assert [s.values for s in report.sweeps] == [MARGINS, GAMMAS, TURNS]
    for sweep in report.sweeps:
        np.testing.assert_allclose(sweep.probabilities[sweep.values.index(sweep.usual)], own, atol=1e-5)
        assert sweep.probabilities.shape == (len(sweep.values), 7)
        np.testing.assert_allclose(sweep.probabilities.sum(axis=1), 1, atol=1e-5)
    assert any(np.ptp(s.probabilities, axis=0).max() > 1e-3 for s in report.sweeps)  # and the others are not


def test_variants_are_crops_of_the_changed_photo(net, monkeypatch):
    """What the network is asked about, against the same made another way: by changing the photo itself."""
    seen = []
    predictor = Predictor(net, detector=Fixed((180, 58, 271, 176)), threads=1)
    ask = predictor.predict_crops
    monkeypatch.setattr(predictor, "predict_crops", lambda faces: seen.append(faces) or ask(faces))
    photo = cv2.imread(str(ASTRONAUT))
    diagnose(predictor, photo)
    variants, box = seen[0], (180, 58, 271, 176)
    assert len(variants) == 33
    smaller = (184.55, 63.9, 266.45, 170.1)  # the box shrunk around its centre by 0.9, as margin 0.9
    np.testing.assert_allclose(variants[MARGINS.index(0.9)], crop_face(photo, smaller, predictor.spec), atol=16)
    turn = cv2.getRotationMatrix2D((225, 116.5), -12, 1)  # OpenCV counts anti-clockwise
    turned = crop_face(cv2.warpAffine(photo, turn, (512, 512)), box, predictor.spec)
    off = np.abs(variants[22 + TURNS.index(12.0)].astype(int) - turned)
    other = np.abs(variants[22 + TURNS.index(-12.0)].astype(int) - turned)
    assert off.mean() < 3 < other.mean()
    grey = crop_face(photo, box, predictor.spec)
    np.testing.assert_array_equal(variants[11 + GAMMAS.index(1.0)], grey)
    assert variants[11].mean() > grey.mean() > variants[21].mean()


def test_a_face_at_the_corner_and_one_of_a_few_pixels_are_inspected(net):
    noise = np.random.default_rng(0).integers(0, 256, (60, 80, 3)).astype(np.uint8)
    boxes = (0, 0, 9, 8), (70, 50, 80, 60), (3, 3, 5, 5), (0, 0, 80, 60)
    predictor = Predictor(net, detector=Fixed(*boxes), threads=1)
    reports = diagnose(predictor, noise).faces
    assert [r.face.box for r in reports] == list(boxes)
    for report in reports:
        own = list(report.face.probabilities.values())
        for sweep in report.sweeps:
            # a grey value may be rounded the other way
            np.testing.assert_allclose(sweep.probabilities[sweep.values.index(sweep.usual)], own, atol=0.01)
        assert set(report.parts) == {"upper third", "middle third", "lower third"}  # no landmarks
        assert not report.face.usable or report.face.box == (0, 0, 80, 60) or report.face.quality.side >= 10


def report_with(found, *winners):
    """A report of one sweep whose variants are won by these classes; class 0 is the face's label."""
    face = found.faces[0].face
    first = list(face.probabilities).index(face.label)
    others = [i for i in range(7) if i != first]
    rows = np.eye(7, dtype=np.float32)[[first if w == 0 else others[w - 1] for w in winners]]
    return FaceDiagnosis(
        face, (Sweep("turn", tuple(map(float, range(len(winners)))), 0.0, rows),), np.zeros((48, 48)), {}
    )


def test_verdicts_count_the_variants(found):
    label = found.faces[0].face.label
    assert report_with(found, *[0] * 5).verdict == f"steady: 5 of 5 variants keep {label}"
    mostly = report_with(found, 0, 0, 0, 0, 1)
    assert mostly.kept == (4, 5)
    assert mostly.verdict.startswith(f"mostly steady: 4 of 5 variants keep {label}; turn: ")
    shaky = report_with(found, 0, 1, 1, 2, 0)
    assert shaky.verdict.startswith("shaky: 2 of 5")
    assert sum(int(w.rstrip(";,")) for w in shaky.verdict.split("turn: ")[1].split() if w[0].isdigit()) == 3


def test_record_goes_through_json_and_has_it_all(found):
    told = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    (face,) = told["faces"]
    assert told["photo"] == str(ASTRONAUT)
    assert face["top2"][0] == [face["label"], face["confidence"]]
    assert face["gap"] == pytest.approx(face["top2"][0][1] - face["top2"][1][1], abs=1e-5)
    assert face["stability"]["variants"] == 33
    assert [s["change"] for s in face["sweeps"]] == ["crop margin", "brightness", "turn"]
    assert sum(part["weight"] for part in face["rests_on"].values()) == pytest.approx(1, abs=0.01)
    assert set(face["rests_on"]) == {"eyes", "nose", "mouth", "elsewhere"}


def test_a_photo_without_a_face_says_what_was_tried_and_what_to_do(net):
    faint = cv2.GaussianBlur(cv2.imread(str(ASTRONAUT)), (0, 0), 14)
    predictor = Predictor(net, threads=1)
    found = diagnose(predictor, faint)
    assert found.photo.outcome == "no face"
    assert [s.size for s in found.searches] == [320, 480, 640]  # up to twice the photo's own
    best = max(s.score or 0 for s in found.searches)
    assert 0.05 < best < 0.5 == found.threshold
    assert f"scores {best:.2f}, 0.50 is needed" in found.advice[0]
    told = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert len(told["searches"]) == len(found.searches)
    plain = diagnose(predictor, np.full((90, 90, 3), 99, np.uint8))
    assert "Nothing in it looks like a face" in plain.advice[0]
    assert "--detector none" in plain.advice[1]
    assert search_words(plain.searches[0], 0.5).endswith("nothing, down to a score of 0.05")
    assert diagnose(Predictor(net, detector=Fixed()), faint).searches == ()  # another detector cannot be asked


def test_the_search_asks_the_detector_that_is_open_and_opens_no_other(net, monkeypatch):
    from mien.runtime import CenterFace

    predictor = Predictor(net, CenterFace(size=320, threshold=0.99, threads=1), threads=1)
    monkeypatch.setattr("mien.runtime.session.open_session", lambda *a: pytest.fail("opened a file again"))
    found = diagnose(predictor, cv2.imread(str(ASTRONAUT)))
    assert found.threshold == 0.99
    assert 0.8 < found.searches[0].score < 0.99
    assert found.searches[0].size == 320


def test_a_face_on_its_side_is_diagnosed_as_it_is_cropped(net):
    side = np.ascontiguousarray(np.rot90(cv2.imread(str(ASTRONAUT))))
    (report,) = diagnose(Predictor(net, threads=1), side).faces
    assert report.face.turn == pytest.approx(-90, abs=12)
    own = list(report.face.probabilities.values())
    for sweep in report.sweeps:
        np.testing.assert_allclose(sweep.probabilities[sweep.values.index(sweep.usual)], own, atol=0.02)
    assert report.parts["eyes"][1] > 0.05


def test_a_face_that_another_size_finds_is_named(net):
    from mien.runtime import CenterFace

    street = np.full((700, 700, 3), 150, np.uint8)
    small = cv2.resize(cv2.imread(str(ASTRONAUT))[20:220, 120:320], (24, 24), interpolation=cv2.INTER_AREA)
    street[300:324, 500:524] = small
    found = diagnose(Predictor(net, detector=CenterFace(size=96, threads=1), threads=1), street)
    assert found.photo.outcome == "no face"
    assert found.advice[0].endswith(("--detector-size 640.", "--detector-size 1280."))


def test_the_picture_shows_every_face_up_to_the_limit(net, found):
    predictor = Predictor(net, threads=1)
    one = draw_inspection(found, predictor.spec, predictor.predict_crops, "the model")
    assert one.dtype == np.uint8
    assert one.shape[1] > 1300
    noise = np.random.default_rng(0).integers(0, 256, (200, 300, 3)).astype(np.uint8)
    crowd = Predictor(net, detector=Fixed(*[(i * 20, 5, i * 20 + 30, 45) for i in range(MAX_REPORTS + 2)]), threads=1)
    many = draw_inspection(diagnose(crowd, noise), crowd.spec, crowd.predict_crops)
    assert MAX_REPORTS * 400 < many.shape[0] < (MAX_REPORTS + 1) * 600
    none = diagnose(predictor, np.full((30, 900, 3), 99, np.uint8))
    assert draw_inspection(none, predictor.spec, predictor.predict_crops).shape[1] > 1300


def test_what_is_beyond_a_limit_is_marked_in_the_lines(net):
    noise = np.random.default_rng(0).integers(0, 256, (60, 80, 3)).astype(np.uint8)
    (report,) = diagnose(Predictor(net, detector=Fixed((0, 0, 9, 9)), threads=1), noise).faces
    bad = {name for name, _, fine in measured_lines(report) if not fine}
    assert "size" in bad
    assert "contrast" not in bad
    assert ("turned", "unknown: the detector has no landmarks", True) in measured_lines(report)


def test_command_prints_text_writes_the_picture_and_json(net, tmp_path):
    out = tmp_path / "deep" / "sheet.png"
    result = run(ASTRONAUT, "--model", net, "--save", out)
    assert result.exit_code == 0
    for words in ("1 face", "crop margin", "brightness", "turn ", "rests on", "stability", "of 33 variants", "63.1 %"):
        assert words in result.stdout
    assert any(name in result.stdout for name in FER2013.names)
    assert cv2.imread(str(out)) is not None
    assert f"written: {out}" in result.stderr
    assert "mien inspect is part of mien explain now" in result.stderr
    document = json.loads(run(ASTRONAUT, "--model", net, "--json").stdout)
    assert document["model"] == "tiny"
    assert document["faces"][0]["stability"]["variants"] == 33


def test_command_says_why_there_is_no_face_and_what_cannot_be_read(net, tmp_path):
    cv2.imwrite(str(tmp_path / "grey.png"), np.full((90, 120, 3), 99, np.uint8))
    result = run(tmp_path / "grey.png", "--model", net)
    assert result.exit_code == 0
    assert "no face found" in result.stdout
    assert "searched at 480 pixels" in result.stdout
    assert isinstance(run(tmp_path / "no.png", "--model", net).exception, DataError)
    (tmp_path / "file").write_text("x")
    assert isinstance(run(ASTRONAUT, "--model", net, "--save", tmp_path / "file" / "a.png").exception, OutputError)


def test_a_picture_that_is_there_is_written_anew_with_force_only(net, tmp_path):
    (tmp_path / "x.png").write_text("mine")
    assert "is there already: --force" in str(run(ASTRONAUT, "--model", net, "--save", tmp_path / "x.png").exception)
    assert (tmp_path / "x.png").read_text() == "mine"
