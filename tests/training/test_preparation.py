"""What is found out, changed and said before the first step: sizes, classes, few faces, heads without targets."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pytest
from blob_faces import TRAIN, VAL, blobs

from mien.data import FaceDataset, train_val
from mien.errors import ConfigError, DataError
from mien.models.weights import load_model
from mien.reporting.card import model_card
from mien.runtime import Classifier
from mien.training import list_recipes, load_recipe, train
from mien.training.preparation import make_network, prepare
from mien.training.recipe import Distill, Optimizer, Recipe

TINY = Recipe("tiny", "deep-emotion-2019", epochs=1, batch_size=16, optimizer=Optimizer("adamw", lr=0.01))


def notes(recipe: Recipe, train: FaceDataset = TRAIN, val: FaceDataset = VAL, **more: bool) -> str:
    return "\n".join(prepare(recipe, train, val, **more).notes)


def sized(height: int, width: int, n: int = 30) -> FaceDataset:
    images = np.random.default_rng(n).integers(0, 256, (n, height, width)).astype(np.uint8)
    return FaceDataset(images, ("a", "b", "c"), np.arange(n, dtype=np.int64) % 3, source="made")


@pytest.mark.parametrize("name", [n for n in list_recipes() if not n.startswith(("adversarial", "mien-base"))])
@pytest.mark.parametrize("shape", [(100, 100), (24, 60)])
def test_every_recipe_takes_faces_of_any_size(name: str, shape: tuple[int, int]) -> None:
    ready = prepare(load_recipe(name), sized(*shape), sized(*shape, n=9))
    assert ready.train.size == ready.val.size == (48, 48)
    width, height = shape[::-1]
    assert sum(f"faces of {width} x {height} pixels are resized to 48 x 48" in n for n in ready.notes) == 1
    assert make_network(ready.recipe, ready.train).training


def test_training_resizes_says_it_once_and_remembers_the_data(caplog: pytest.LogCaptureFixture) -> None:
    part, val = sized(30, 40, 60), sized(100, 64, 12)
    with caplog.at_level(logging.WARNING):
        model = train(TINY, part, val, device="cpu")
    assert sum("are resized to 48 x 48" in r.message for r in caplog.records) == 1
    assert (model.spec.size, model.spec.data["fingerprint"]) == (48, part.fingerprint)
    assert model.spec.data["validation"] == val.fingerprint
    np.testing.assert_allclose((model.spec.mean, model.spec.std), part.resized(48).statistics)
    assert model.predict(val.images).shape == (12, 3)
    assert model.evaluate(val).accuracy == model.report.accuracy
    with pytest.raises(DataError, match="uint8"):
        model.predict(val.images / 255)


def test_another_size_is_checked_before_the_first_step() -> None:
    with pytest.raises(
        ConfigError, match="deep-emotion-2019 cannot take faces of 64 x 64 pixels; choose another --size"
    ):
        train(TINY, TRAIN, VAL, size=64, device="cpu", on_batch=lambda _: pytest.fail("a step was made"))
    with pytest.raises(ConfigError, match=r"mien-nano cannot take faces of 44 x 44 .*multiple of 8"):
        train(replace(TINY, model="mien-nano"), TRAIN, VAL, size=44, device="cpu")
    with pytest.raises(ConfigError, match=r"size must lie in 16\.\.512, got 8"):
        train(TINY, TRAIN, VAL, size=8)
    nano = replace(TINY, model="mien-nano", options={"widths": [8], "depths": [1]}, sizes=((0, 32), (0.5, 48)))
    assert nano.override(size=64).sizes == ((0, 40), (0.5, 64))
    assert train(nano, TRAIN, VAL, size=32, device="cpu").spec.size == 32


def test_a_second_head_without_votes_is_left_out_and_so_it_is_written() -> None:
    recipe = load_recipe("mien-nano").override(epochs=1, batch_size=16)
    assert "no second head" in notes(recipe)
    model = train(replace(recipe, options={"widths": [8], "depths": [1]}, sizes=()), TRAIN, VAL, device="cpu")
    assert (model.whole, model.spec.heads) == (None, ())
    assert model.spec.recipe["votes_weight"] == 0
    assert "second labelling" not in model.spec.data


def test_a_recipe_that_follows_teachers_without_one_claims_none() -> None:
    recipe = replace(TINY, distill=Distill(weight=0.8))
    assert "it learns from the labels alone" in notes(recipe)
    model = train(recipe, TRAIN, VAL, device="cpu")
    assert "distill" not in model.spec.recipe
    assert "teachers" not in model.spec.data
    card = model_card(model.spec)
    assert not [word for word in ("teachers:", "distill", model.spec.data["learnt"]) if word in card]
    assert "learns from the labels" not in notes(recipe, taught=True)
    assert prepare(TINY, TRAIN, VAL, taught=True).recipe.distill == Distill()
    assert notes(TINY) == ""


@pytest.mark.parametrize(("n", "val"), [(1, 1), (2, 0), (0, 3)])
def test_too_few_faces(n: int, val: int) -> None:
    with pytest.raises(ConfigError, match="too few faces"):
        train(TINY, TRAIN.take(slice(0, n)), VAL.take(slice(0, val)), device="cpu")


def test_copies_of_one_face_or_one_class_are_too_few() -> None:
    with pytest.raises(ConfigError, match="too few faces: 1 different ones of 1 classes"):
        prepare(TINY, TRAIN.take(np.zeros(40, int)), VAL)
    assert TRAIN.labels is not None
    with pytest.raises(ConfigError, match="of 1 classes"):
        prepare(TINY, TRAIN.take(TRAIN.labels == 0), VAL)


def test_four_faces_train() -> None:
    assert TRAIN.labels is not None
    part, val = train_val(TRAIN.take(slice(0, 4)))
    assert len(train(replace(TINY, deduplicate=True), part, val, device="cpu").history) == 1


def test_classes_missing_in_a_part_are_named() -> None:
    assert TRAIN.labels is not None
    part = TRAIN.take(TRAIN.labels != 2)
    assert "no face to train shows sad" in notes(TINY, part)
    model = train(TINY, part, VAL.take(VAL.labels == 2), device="cpu")
    assert model.report.n == 10


def test_rows_without_a_label_are_left_out_and_counted() -> None:
    labels = TRAIN.labels.copy()
    labels[:5] = -1
    ready = prepare(TINY, replace(TRAIN, labels=labels), VAL)
    assert len(ready.train) == 59
    assert "5 of 64 faces to train have no label" in "\n".join(ready.notes)
    with pytest.raises(ConfigError, match="same classes"):
        prepare(TINY, TRAIN, replace(VAL, names=("x", "y", "z")))


def test_one_class_set_of_any_size_goes_from_faces_to_a_prediction(tmp_path) -> None:
    """Data with other than seven classes, end to end by the library alone, as the README shows it."""
    part, val = train_val(replace(blobs(90), names=("dog", "cat", "cow")))
    model = train(replace(TINY, epochs=4, ema=0.9), part, val, device="cpu")
    assert model.export(tmp_path / "m.onnx") < 1e-4
    model.save(tmp_path / "m.safetensors")
    assert load_model(tmp_path / "m.safetensors")[1] == model.spec
    p = model.predict(val.images)
    found = Classifier(tmp_path / "m.onnx")(val.images).probabilities
    np.testing.assert_allclose(found, p, atol=1e-3)
    assert model.spec.labels == ("dog", "cat", "cow")
    assert (p.argmax(1) == val.labels).mean() == pytest.approx(model.report.accuracy)
