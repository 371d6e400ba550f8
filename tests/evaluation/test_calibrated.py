"""A model's calibration: for each number of views, on faces without a near-duplicate only, carried by its spec."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from mien.data.synthetic.generate import generate
from mien.errors import ConfigError
from mien.evaluation import calibrated as calibrated_module
from mien.evaluation.calibrated import calibrated, held_out
from mien.evaluation.calibration import calibrate, fit_temperature
from mien.evaluation.class_scaling import Scaling
from mien.evaluation.model import Loaded
from mien.models.inference import predict, view_logits
from mien.preprocessing import softmax
from mien.spec import ModelSpec

FACES = generate(400, seed=3)
PIXELS = torch.from_numpy((FACES.images[::2] / 255.0 - 0.5) / 0.25).float().flatten(1)
TARGETS = torch.nn.functional.one_hot(torch.from_numpy(FACES.labels[::2]), 7).float()
#: a linear model that fits half of the faces well, and is far too sure of itself
WEIGHT = 12 * torch.linalg.solve(PIXELS.T @ PIXELS + 100 * torch.eye(48 * 48), PIXELS.T @ TARGETS).T


def forward(x: Tensor) -> Tensor:
    return x.flatten(1) @ WEIGHT.T


@pytest.fixture(scope="module")
def model() -> Loaded:
    return Loaded(forward, ModelSpec("tiny", FACES.names), "")


def logits(views: int) -> np.ndarray:
    return view_logits(forward, FACES.images, mean=0.5, std=0.25, views=views)


def test_views_of_logits_are_those_that_predictions_average() -> None:
    z = logits(3)
    p = np.exp(z / 2) / np.exp(z / 2).sum(2, keepdims=True)
    own = predict(forward, FACES.images, mean=0.5, std=0.25, views=3, temperature=2)
    np.testing.assert_allclose(p.mean(0), own, atol=1e-6)
    np.testing.assert_array_equal(z[:2], logits(2))


@pytest.mark.parametrize("views", [1, 2, 10])
def test_the_temperature_of_a_mean_over_views_is_the_best_of_a_grid(views) -> None:
    def loss(t: float) -> float:
        p = predict(forward, FACES.images, mean=0.5, std=0.25, views=views, temperature=t)
        return float(-np.log(p[np.arange(len(FACES)), FACES.labels]).mean())

    best = fit_temperature(logits(views), FACES.labels)
    assert loss(best) <= min(loss(t) for t in np.geomspace(best / 3, best * 3, 15)) + 1e-9


def test_each_number_of_views_has_its_own_figures(model, monkeypatch) -> None:
    assert calibrated(model, FACES, views=(1,)).spec.calibration["scale"] == []  # too few for that
    monkeypatch.setattr(calibrated_module, "_SCALED_FROM", 400)
    found = calibrated(model, FACES)
    c = found.spec.calibration
    scaling = Scaling(c["scale"], c["shift"])
    assert found.spec.temperature == c["temperature"] == fit_temperature(scaling(logits(1)), FACES.labels)
    assert (c["rows"], c["n"], c["split"]) == ("all", len(FACES), "+".join(FACES.splits))
    corrupted = held_out(model, FACES.images, 10).corrupted
    assert c["views"]["10"] == calibrate(logits(10), FACES.labels, corrupted=corrupted, scaled=True).to_dict()
    assert c["views"]["10"]["temperature"] < c["temperature"]  # a mean over views is less sure than one
    p = softmax(scaling(logits(10)), c["views"]["10"]["temperature"])
    np.testing.assert_allclose(found.predict(FACES.images, views=10), p.mean(0), atol=1e-6)
    assert found.temperature(5) == pytest.approx(c["views"]["2"]["temperature"])


def test_a_graph_that_divides_already_divides_by_the_rest_only(model) -> None:
    whole = calibrated(model, FACES)
    spec = whole.spec
    divided = Loaded(lambda x: whole.forward(x) / spec.temperature, replace(spec, temperature=1.0), "")
    for views in (1, 2, 10):
        np.testing.assert_allclose(
            divided.predict(FACES.images[:20], views=views), whole.predict(FACES.images[:20], views=views), atol=1e-6
        )


def test_only_clean_faces_are_counted(model) -> None:
    clean = np.arange(len(FACES)) % 2 == 0
    found = calibrated(model, FACES, clean=clean, views=(1,)).spec
    other = calibrated(model, FACES.take(clean), views=(1,)).spec
    assert found.temperature == other.temperature
    assert (found.calibration["rows"], found.calibration["n"]) == ("clean", int(clean.sum()))
    assert found.calibration["views"] == {}


def test_other_labels_and_too_few_faces(model) -> None:
    assert FACES.labels is not None
    other = np.where(np.arange(len(FACES)) < 100, FACES.labels, -1)
    assert calibrated(model, FACES, labels=other, views=(1,)).spec.calibration["n"] == 100
    assert calibrated(model, FACES, clean=np.arange(len(FACES)) < 19) is model
    assert calibrated(model, replace(FACES, labels=None)) is model


def test_wrong_arguments_are_named(model) -> None:
    with pytest.raises(ConfigError, match="views must be numbers in"):
        calibrated(model, FACES, views=(2, 10))
    with pytest.raises(ConfigError, match="clean must have one entry for each of 400 faces"):
        calibrated(model, FACES, clean=np.ones(3, bool))
