"""card: every figure on it comes from the reports, and what must be said is said."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mien.errors import ConfigError
from mien.evaluation.calibration import calibrate
from mien.evaluation.metrics import Robustness, score, wilson
from mien.reporting.card import INTENDED, LIMITS, data_terms, model_card
from mien.spec import Head, ModelSpec

NAMES = ("angry", "happy", "sad")
WEIGHTS = Path(__file__).parents[2] / "src" / "mien" / "weights"


def _report(right, n, **conditions):
    labels = np.arange(n) % 3
    said = np.where(np.arange(n) < right, labels, (labels + 1) % 3)
    p = 0.8 * np.eye(3)[said] + 0.2 / 3
    mask = np.arange(n) >= 10
    return score(p, labels, NAMES, clean=mask, split="PrivateTest", conditions=conditions)


@pytest.fixture
def spec():
    return ModelSpec(
        "small", NAMES, mean=0.507, std=0.255, model={"name": "deep-emotion-2019"}, data={"source": "fer2013.csv"}
    )


def _rows(card, title):
    body = card.split(f"## {title}\n\n")[1].split("\n## ")[0]
    return [[c.strip() for c in line.strip("|").split("|")] for line in body.splitlines() if line.startswith("|")]


def test_scores_come_from_the_reports(spec):
    card = model_card(spec, [_report(60, 100, views=1), _report(70, 100, views=10)])
    _, _, one, ten = _rows(card, "Scores")
    low, high = wilson(60, 100)
    assert one[:4] == ["PrivateTest", "1", "100", f"60.00 % ({100 * low:.1f} to {100 * high:.1f})"]
    assert one[4].startswith("55.56 % (")  # 50 of the 90 without a twin
    assert ten[1] == "10"
    assert ten[3].startswith("70.00 % (")


def test_per_class_recall_comes_from_the_first_report(spec):
    report = _report(60, 100)
    rows = _rows(model_card(spec, [report]), "Per class (PrivateTest)")[2:]
    assert [r[0] for r in rows] == list(NAMES)
    assert [r[2] for r in rows] == [f"{100 * report.per_class[n]['recall']:.2f} %" for n in NAMES]


def test_spec_scores_are_the_default(spec):
    raw = {"PrivateTest": _report(60, 100).to_dict()}
    stored = ModelSpec.from_json(ModelSpec("small", NAMES, scores=raw).to_json(), "x")
    assert "60.00 %" in model_card(stored)
    assert "Not evaluated" in model_card(spec)


def test_seeds_give_mean_and_spread(spec):
    card = model_card(spec, [], seeds={"PrivateTest": [0.64, 0.65, 0.66], "PublicTest": [0.6]})
    assert "Over 3 seeds, PrivateTest: 65.00 ± 1.00 %" in card
    assert "One seed, its float weights, PublicTest: 60.00 %" in card


def test_facts_and_limits_are_stated(spec):
    card = model_card(spec, [_report(60, 100, date="2026-01-02")], parameters=61_234, file_bytes=2048)
    for words in (
        "61,234",
        "2 KiB",
        "48 x 48 pixels, grey",
        "0.5070",
        "1902.01019",
        "date: 2026-01-02",
        *INTENDED,
        *LIMITS,
    ):
        assert words in card
    assert "Article 5(1)(f)" in card
    assert "not an emotion" in card
    assert "ask the authors" in card


def test_calibration_is_told_where_there_is_one(spec):
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (3000, 3))
    labels = (logits + rng.gumbel(size=(3000, 3))).argmax(1)
    found = calibrate(3 * logits, labels, coverage=0.8)
    card = model_card(replace(spec, calibration={**found.to_dict(), "split": "Public|Test", "fingerprint": "ab"}), [])
    body = card.split("## Calibration\n\n")[1].split("\n## ")[0]
    for words in (
        f"Temperature: {found.temperature:.3g}, fitted on 3,000 faces of Public\\|Test",
        f"{100 * found.ece_before:.2f} % before, {100 * found.ece:.2f} % after",
        f"{found.log_loss_before:.3f} nats before, {found.log_loss:.3f} after",
        f"at least {100 * found.threshold:.2f} %, {found.mean_size:.2f} of 3 on average",
        f"the true class for {100 * found.coverage:.2f} % of the faces; the target is 80.00 %",
        f"{100 * found.singles:.2f} % of the faces, and {100 * found.singles_accuracy:.2f} % of these are right",
        "cross-fit in 2 parts",
    ):
        assert words in body
    none = replace(found, singles=0.0, singles_accuracy=None)
    assert "0.00 % of the faces\n" in model_card(replace(spec, calibration=none.to_dict()), [])
    assert "Calibration" not in model_card(spec, [])


def test_unknown_size_is_left_out_not_invented(spec):
    card = model_card(spec, [])
    assert "Parameters" not in card
    assert "Size of the file" not in card


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"source": "/data/fer2013.csv"}, "labels are noisy"),
        ({"votes": "FER+"}, "ten taggers"),
        ({"source": "synthetic, seed 0"}, "no picture of a person"),
    ],
)
def test_terms_follow_the_data(data, words):
    assert words in data_terms(data)
    assert data_terms({"source": "mine.csv"}) == ""


def test_tilt_joins_both_directions_and_float_weights_are_named(spec):
    turned = [{"degrees": d, "n": n, "accuracy": a} for d, n, a in ((0, 10, 0.8), (45, 10, 0.5), (-45, 5, 0.8))]
    figures = {"default answer": {"shipped": 0.62, "float": 0.625, "same answer": 0.98}}
    made = {"bytes": 2048, "weights": "de-quantized from the shipped int8 file", "PublicTest": figures}
    card = model_card(spec, [], tilt={"tilt": turned, "n": 20, "split": "x", "turned_from": 27.0}, float_weights=made)
    assert "| 0 | 50 % of 20 | 80.00 % |" in card
    assert "| 45 | 38 % of 40 | 60.00 % |" in card
    assert "de-quantized from the shipped int8 file, in half precision, 2 KiB" in card
    assert "62.50 % right where this file has 62.00 %" in card
    assert "not measured on photographs" in card
    assert "Tilted in the picture: not measured with this network." in model_card(spec, [])
    rows = [{"degrees": 30, "n": 40, "accuracy": 0.75}, {"degrees": 60, "n": 3, "accuracy": 1.0}]
    card = model_card(spec, [], tilt={"tilt": turned, "n": 50, "split": "x", "turned_from": 27.0, "yaw": rows})
    assert "of 50, those found: 30 degrees 75.00 % of 40." in card


def test_a_head_tells_its_scaling_its_promise_and_what_corruption_leaves(spec):
    logits = np.random.default_rng(0).normal(0, 2, (400, 3))
    labels = (logits + np.random.default_rng(1).gumbel(size=(400, 3))).argmax(1)
    found = calibrate(logits, labels, corrupted=logits / 2, scaled=True)
    head = Head("own", spec.labels, "logits_own", calibration=found.to_dict())
    robustness = Robustness(400, 0.8, {"blur": (0.7,) * 5}, "x").to_dict()
    card = model_card(replace(spec, heads=(head,)), [], head_robustness={"own": robustness})
    for words in (
        f"{spec.labels[0]} {found.scale[0]:.2f} {found.shift[0]:+.2f}",
        f"true class for {100 * found.corrupted['coverage']:.2f} %",
        "severity 1 to 3 of every kind",
        f"by chance a network without any error shows {100 * found.ece_by_chance[0]:.2f} %",
        "### Robustness",
    ):
        assert words in card


def test_robustness_is_a_table_and_left_out_without_figures(spec):
    found = Robustness(3589, 0.62, {"blur": (0.6, 0.4), "low_resolution": (0.3, 0.1)}, "PublicTest", {"seed": 7})
    card = model_card(spec, [], robustness=found.to_dict())
    head, _, *rows = _rows(card, "Robustness")
    assert head == ["Corrupted by", "1", "2", "Mean", "Drop"]
    assert rows[0] == ["blur", "60.0", "40.0", "50.0", "12.0"]
    assert rows[1] == ["low resolution", "30.0", "10.0", "20.0", "42.0"]
    assert rows[2] == ["mean", "45.0", "25.0", "35.0", "27.0"]
    for words in ("PublicTest", "62.00 %", "3,589 images", "seed 7", "56.5 %", "1903.12261"):
        assert words in card
    assert "prediction set holds" not in card
    covered = replace(found, clean_coverage=0.9, coverages={"blur": (0.8, 0.5), "low_resolution": (0.7, 0.25)})
    assert "| low resolution | 70.0 | 25.0 |" in model_card(spec, [], robustness=covered.to_dict())
    assert "Robustness" not in model_card(spec, [])
    with pytest.raises(ConfigError, match="robustness must have the keys"):
        model_card(spec, [], robustness={"n": 1})


def test_foreign_text_cannot_break_the_table_or_the_page():
    names = ("a|b", "<script>x</script>", "line\nbreak")
    report = score(np.eye(3), np.arange(3), names, split="x|y")
    card = model_card(ModelSpec("n](http://x)", names, data={"source": "<img>"}), [report])
    assert not re.search(r"(?<!\\)<", card)
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in card.splitlines() if line.startswith("| a")} == {6}
    assert "line break" in card
    assert r"n\](http" in card


@pytest.mark.parametrize("file", sorted(WEIGHTS.glob("*.md")), ids=lambda f: f.stem)
def test_the_tables_of_published_cards_have_as_many_cells_in_each_row(file: Path) -> None:
    lines = file.read_text(encoding="utf-8").splitlines()
    assert any(line.startswith("| ---") for line in lines)
    for line, above in zip(lines[1:], lines, strict=False):
        if line.startswith("|") and above.startswith("|"):
            assert line.replace("\\|", "").count("|") == above.replace("\\|", "").count("|"), line
