"""A person's own baseline: the formula, who has a rest, and drawn people who look stern at rest."""

from __future__ import annotations

import numpy as np
import pytest

from bench.video.baseline import KINDS, measure
from mien import Predictor
from mien.errors import ConfigError
from mien.video import RestInterval, Rests, parse_baseline, relative, rest_of

LABELS = ("angry", "happy", "neutral")
STERN, SMILE = (0.7, 0.05, 0.25), (0.3, 0.6, 0.1)


def said(*p):
    return dict(zip(LABELS, p, strict=True))


def test_rest_itself_is_neutral_and_the_others_share_the_rest():
    found = relative(STERN, rest_of([STERN]), 2)
    assert found == pytest.approx([0.3, 0.3, 0.4], abs=0.005)
    assert found.sum() == pytest.approx(1)


def test_the_formula_is_the_one_that_is_told():
    rest, p = np.array([STERN, (0.5, 0.1, 0.4)]), np.array(SMILE)
    reference = np.array([0.3, 0.3, 0.4]) + 0.01
    expected = (p + 0.01) * reference / np.exp(np.log(rest + 0.01).mean(0))
    assert relative(p, rest_of(rest), 2) == pytest.approx(expected / expected.sum())
    assert rest_of(np.array([STERN, STERN, SMILE]), median=True) == pytest.approx(rest_of([STERN]))


def test_a_stern_person_at_rest_is_neutral_and_smiles_when_they_smile():
    rests = Rests(LABELS, RestInterval(0, 1))
    for i in range(30):
        rests.add(1, i / 10, said(*(STERN if i < 20 else SMILE)))
    rests.add(2, 5.0, said(*STERN))
    for face, label in ((STERN, "neutral"), (SMILE, "happy")):
        found = rests.relative(1, face)
        assert max(found, key=found.get) == label
    assert rests.relative(2, STERN) is None
    assert rests.relative(None, STERN) is None
    told = rests.to_dict()
    assert told["without"] == [2]
    assert told["persons"]["1"] == {"frames": 11, "rest": pytest.approx(said(*STERN), abs=1e-6)}
    assert "exp(reference_k - rest_k)" in told["formula"]


def test_a_median_needs_no_stretch_and_given_faces_hold_for_everybody():
    median = Rests(LABELS, "median")
    for i in range(9):
        median.add(3, float(i), said(*(STERN if i < 6 else SMILE)))
    assert median.relative(3, STERN) == pytest.approx(said(0.3, 0.3, 0.4), abs=0.005)
    given = Rests(LABELS, np.array([STERN]))
    assert given.relative(8, STERN) == pytest.approx(median.relative(3, STERN))


def test_what_a_user_gives_is_a_stretch_or_a_word_or_a_file():
    assert parse_baseline("2-10.5") == RestInterval(2, 10.5)
    assert parse_baseline("median") == "median"
    assert parse_baseline("a-1.jpg") == "a-1.jpg"
    with pytest.raises(ConfigError, match="end after its start"):
        parse_baseline("4-4")
    with pytest.raises(ConfigError, match="label neutral"):
        Rests(("calm", "cross"), "median")


def test_false_calls_fall_on_drawn_people_who_frown_at_rest_and_true_ones_stay():
    found = measure(KINDS["frowning"], 10, 84, Predictor(None, "none", threads=1))
    shares = {k: {name: v["share"] for name, v in f.items()} for k, f in found.items()}
    raw, ours = shares["raw"], shares["relative"]
    assert raw["false_calls"] > 0.4
    assert ours["false_calls"] < 0.6 * raw["false_calls"]
    assert ours["true_calls"] > 0.9 * raw["true_calls"]
