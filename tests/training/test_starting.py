"""Training that starts from weights: what the network says before the first step, heads, frozen trunks, a budget."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from blob_faces import NAMES, TRAIN, VAL, blobs

from mien.data import FaceDataset
from mien.errors import ConfigError, ModelError
from mien.evaluation import evaluate
from mien.evaluation.model import open_model
from mien.labels import FERPLUS
from mien.models.heads import answering
from mien.models.weights import load_model, load_network, published_weights
from mien.reporting.card import model_card
from mien.runtime import Classifier
from mien.training import load_recipe, train
from mien.training.provenance import merged, seen, sketch
from mien.training.recipe import Optimizer, Recipe

TINY = Recipe(
    "tiny",
    "mien-nano",
    {"widths": [8, 8], "depths": [1, 1]},
    epochs=1,
    batch_size=16,
    optimizer=Optimizer("adamw", 0.01),
)
FIRST = replace(TINY, epochs=3, optimizer=Optimizer("adamw", 0.02))
STILL = Optimizer("adamw", 0.0)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "first"
    train(FIRST, TRAIN, VAL, out=out, device="cpu")
    return out


def renamed(faces: FaceDataset, *names: str) -> FaceDataset:
    return replace(faces, names=names)


def test_training_begins_with_the_answers_of_its_weights(run: Path, caplog: pytest.LogCaptureFixture) -> None:
    new = blobs(48, 7)
    still = train(replace(TINY, optimizer=STILL), new, VAL, init=run, device="cpu")
    np.testing.assert_allclose(still.predict(VAL.images), open_model(run).predict(VAL.images), atol=0.03)
    assert f"the head for {', '.join(NAMES)} goes on from tiny's" in caplog.text
    before = load_model(run / "model.safetensors")[1]
    assert (still.spec.mean, still.spec.std) == (before.mean, before.std)
    assert still.spec.model == before.model
    assert "which learnt blobs" in still.spec.data["started from"]
    assert seen(still.spec.data["learnt"], TRAIN.images) == seen(sketch(TRAIN.images), TRAIN.images)
    assert seen(still.spec.data["learnt"], new.images)[0] == len(new)


@pytest.mark.parametrize("freeze", ["none", "trunk"])
def test_frozen_means_the_heads_alone(run: Path, freeze: str) -> None:
    recipe = replace(TINY, epochs=2, optimizer=Optimizer("adamw", 0.05, weight_decay=0.1), ema=0.5)
    model = train(recipe, TRAIN, VAL, init=run, freeze=freeze, device="cpu")
    old, new = load_network(run / "model.safetensors")[0].state_dict(), model.network.state_dict()
    changed = {key.split(".")[0] for key, value in old.items() if not torch.equal(value, new[key])}
    assert changed == {"head"} if freeze == "trunk" else changed > {"head", "stages"}


def test_a_share_of_the_starting_weights_stays(run: Path) -> None:
    recipe = replace(TINY, optimizer=Optimizer("adamw", 0.05))
    old = load_network(run / "model.safetensors")[0].state_dict()
    new = train(recipe, TRAIN, VAL, init=run, device="cpu").network.state_dict()
    mixed = train(replace(recipe, init=str(run), init_share=0.25), TRAIN, VAL, device="cpu").network.state_dict()
    for key, value in mixed.items():
        torch.testing.assert_close(value, 0.25 * old[key] + 0.75 * new[key], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(new["head.weight"], mixed["head.weight"])


def test_new_classes_start_at_zero_and_known_ones_go_on(run: Path, caplog: pytest.LogCaptureFixture) -> None:
    faces, val = (renamed(f, "bored", "sad", "happy") for f in (TRAIN, VAL))
    model = train(replace(TINY, optimizer=STILL), faces, val, init=run, device="cpu")
    assert "new to tiny: bored; its head goes on for sad, happy" in caplog.text
    head, old = model.network.head, load_network(run / "model.safetensors")[0].head
    assert not head.weight[0].any()
    torch.testing.assert_close(head.weight[1:], old.weight[[2, 1]])


def test_a_new_head_stands_beside_the_old_ones_in_every_file(run: Path, tmp_path: Path) -> None:
    faces, val = (renamed(f, "left", "middle", "right") for f in (TRAIN, VAL))
    model = train(TINY, faces, val, init=run, add_head="place", out=tmp_path / "run", device="cpu")
    assert [h.name for h in model.spec.heads] == ["place", "labels"]
    assert (model.spec.labels, model.spec.recipe["freeze"]) == (("left", "middle", "right"), "trunk")
    before = open_model(run)
    loaded, old = open_model(tmp_path / "run"), open_model(f"{tmp_path / 'run'}:labels")
    np.testing.assert_allclose(old.predict(VAL.images), before.predict(VAL.images), atol=1e-5)
    assert evaluate(f"{tmp_path / 'run'}:labels", VAL).accuracy == evaluate(run, VAL).accuracy
    assert evaluate(tmp_path / "run", val).accuracy == model.report.accuracy
    with pytest.raises(ModelError, match="has place, labels; got 'x'"):
        open_model(f"{tmp_path / 'run'}:x")
    model.export(tmp_path / "m.onnx")
    out = Classifier(tmp_path / "m.onnx", threads=1)(VAL.images)
    np.testing.assert_allclose(out.probabilities, loaded.predict(VAL.images), atol=1e-5)
    np.testing.assert_allclose(out.heads["labels"], before.predict(VAL.images), atol=1e-5)
    assert "left, middle, right" in model_card(Classifier(tmp_path / "m.onnx").spec)
    again = train(TINY, TRAIN, VAL, init=tmp_path / "run", device="cpu")  # the head that knows these classes goes on
    assert again.spec.heads == ()


def test_both_labellings_are_one_file_whose_answer_is_their_mean(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mien.training.finishing.near_duplicates", lambda faces, _: np.zeros(len(faces), bool))

    def both(faces: FaceDataset) -> FaceDataset:
        second = np.zeros((len(faces), 8), np.float32)
        second[np.arange(len(faces)), [FERPLUS.names.index(NAMES[k]) for k in faces.labels]] = 1
        return replace(faces, second=second, second_names=FERPLUS.names)

    model = train(replace(FIRST, votes_weight=1.0), both(TRAIN), both(VAL), out=tmp_path / "run", device="cpu")
    spec = load_model(tmp_path / "run" / "model.safetensors")[1]
    assert [h.name for h in spec.heads] == ["labels", "fer+"]
    (w1, w2), found = spec.answer["weights"], open_model(tmp_path / "run")
    columns = [FERPLUS.names.index(n) for n in NAMES]
    one, two = (np.log(open_model(f"{tmp_path / 'run'}:{h.name}").predict(VAL.images)) for h in spec.heads)
    mean = np.exp((w1 * one + w2 * two[:, columns] + spec.answer["shift"]) / spec.temperature)
    np.testing.assert_allclose(found.predict(VAL.images), mean / mean.sum(1, keepdims=True), atol=1e-4)
    assert model.report.accuracy == evaluate(tmp_path / "run", VAL).accuracy
    model.export(tmp_path / "m.onnx")
    out = Classifier(tmp_path / "m.onnx", threads=1)(VAL.images)
    np.testing.assert_allclose(out.probabilities, found.predict(VAL.images), atol=1e-4)
    assert "fer+ with" in model_card(Classifier(tmp_path / "m.onnx").spec)
    assert {"labels", "fer+"} == set(out.heads)
    onward = train(replace(TINY, optimizer=STILL), TRAIN, VAL, init=tmp_path / "run", freeze="trunk", device="cpu")
    assert (onward.predict(VAL.images).argmax(1) == found.predict(VAL.images).argmax(1)).all()
    still = replace(TINY, optimizer=STILL, votes_weight=1.0, init=str(tmp_path / "run"), freeze="trunk")
    again = train(still, both(TRAIN), both(VAL), device="cpu").whole.head  # each goes on from its own kind
    torch.testing.assert_close(again.weight, load_network(tmp_path / "run" / "model.safetensors")[0].head.weight)


def test_a_budget_decides_the_epochs_once(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = replace(TINY, epochs=50, ema=0.999, optimizer=Optimizer("adamw", 0.01, warmup=2))
    monkeypatch.setattr("mien.training.run.epochs_within", lambda *_, **__: 2)
    model = train(recipe, TRAIN, VAL, init=run, budget=9.0, out=tmp_path / "run", device="cpu")
    assert (len(model.history), model.spec.recipe["epochs"], model.spec.recipe["ema"]) == (2, 2, 0.99)
    monkeypatch.setattr("mien.training.run.epochs_within", lambda *_, **__: pytest.fail("measured again"))
    again = train(
        recipe, TRAIN, VAL, init=run, budget=9.0, out=tmp_path / "run", device="cpu", resume=True, name="mine"
    )
    assert again.report.accuracy == model.report.accuracy
    assert (model.spec.name, again.spec.name) == ("run", "mine")  # of its folder, and as it is called


def test_a_wheel_says_where_the_weights_are_that_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    left = {k: v for k, v in published_weights().items() if k != "mien-base"}
    monkeypatch.setattr("mien.training.starting.published_weights", lambda: left)
    with pytest.raises(ConfigError, match=r"give the file mien-base\.safetensors of the repository"):
        train(TINY, TRAIN, VAL, init="mien-base")


def test_what_cannot_be_started_from_is_said_before_the_first_step(run: Path, tmp_path: Path) -> None:
    for wrong in ("mien-huge", tmp_path / "none", tmp_path / "m.onnx"):
        with pytest.raises(ConfigError, match="mien-nano, mien-small, the folder of a finished run"):
            train(TINY, TRAIN, VAL, init=wrong)
    with pytest.raises(ConfigError, match=r"init_share needs init.*got 0.5 alone"):
        replace(TINY, init_share=0.5)
    with pytest.raises(ConfigError, match="freeze needs init"):
        train(TINY, TRAIN, VAL, freeze="trunk")
    with pytest.raises(ConfigError, match="give --init"):
        train(TINY, TRAIN, VAL, add_head="mine")
    with pytest.raises(ConfigError, match="needs a frozen trunk"):
        train(TINY, TRAIN, VAL, init=run, add_head="mine", freeze="none")
    with pytest.raises(ConfigError, match="must differ from labels"):
        train(TINY, TRAIN, VAL, init=run, add_head="labels")
    with pytest.raises(ConfigError, match=r"must differ from fer2013, fer\+ in letters"):  # or be its output's twin
        train(TINY, TRAIN, VAL, init="mien-nano", add_head="ferplus")
    with pytest.raises(ConfigError, match="the network to start from tiny has learnt faces that are to validate here"):
        train(TINY, VAL, TRAIN, init=run)
    with pytest.raises(ConfigError, match="name must be one line of text"):
        train(TINY, TRAIN, VAL, init=run, name=" ")


def test_sketches_of_what_was_learnt_one_after_the_other_are_merged() -> None:
    many, few = blobs(400, 3), blobs(20, 4)
    both = merged(sketch(many.images), sketch(few.images))
    assert both == sketch(np.concatenate([many.images, few.images]))
    assert merged(sketch(few.images), sketch(TRAIN.images)) == sketch(np.concatenate([few.images, TRAIN.images]))
    assert merged("", sketch(few.images)) == sketch(few.images)


@pytest.mark.parametrize("name", published_weights())
def test_published_weights_say_what_the_shipped_file_says(name: str) -> None:
    whole, spec = load_network(published_weights()[name])
    shipped = Classifier(f"src/mien/weights/{name}.onnx", threads=1)
    rng = np.random.default_rng(0)
    faces = np.kron(rng.integers(0, 256, (6, 12, 12)), np.ones((4, 4))).astype(np.uint8)
    own = open_model(published_weights()[name])
    np.testing.assert_allclose(own.predict(faces), shipped(faces).probabilities, atol=0.1)
    assert "learnt" in spec.data
    assert spec.labels == shipped.spec.labels
    assert answering(whole, spec).head.out_features == len(spec.labels)
    for head in spec.heads:
        own = open_model(f"{published_weights()[name]}:{head.name}")
        np.testing.assert_allclose(own.predict(faces), shipped(faces).heads[head.name], atol=0.15)


def test_the_recipe_for_few_faces_takes_any_published_network() -> None:
    recipe = load_recipe("finetune").override(epochs=1)
    model = train(recipe, TRAIN, VAL, init="deep-emotion-2019", device="cpu")
    assert model.spec.model["name"] == "deep-emotion-2019"
    assert model.spec.data["started from"].startswith("deep-emotion-2019, which learnt fer2013")
    assert "rights in the pictures stay" in model_card(model.spec).lower()
