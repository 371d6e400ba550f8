"""Teachers: asked once, kept by content, for one or two labellings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mien.data import FaceDataset, split_train_val
from mien.data.synthetic.generate import generate
from mien.errors import ConfigError, ModelError
from mien.models.inference import predict
from mien.models.weights import load_model
from mien.training import distillation as teachers
from mien.training import transforms
from mien.training.distillation import ask, save
from mien.training.recipe import Augment, Distill, Optimizer, Recipe
from mien.training.run import train_run

RECIPE = Recipe(
    "tiny",
    "mien-nano",
    options={"widths": [16, 16], "depths": [1, 1]},
    epochs=1,
    batch_size=16,
    votes_weight=1.0,
    optimizer=Optimizer("adamw", lr=0.01),
    distill=Distill(weight=0.5, views=2),
)

DISTILL = RECIPE.distill
ONE_VIEW = replace(DISTILL, views=1)


@pytest.fixture(scope="module")
def faces() -> tuple[FaceDataset, FaceDataset]:
    ds = generate(120, seed=1, identities=8)
    assert ds.labels is not None
    second = np.eye(2, dtype=np.float32)[(ds.labels == 3).astype(int)]
    return split_train_val(replace(ds, second=second, second_names=("other", "happy")), 0.3)


@pytest.fixture(scope="module")
def run(faces: tuple[FaceDataset, FaceDataset], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("teachers") / "a"
    train_run(RECIPE, *faces, out, device="cpu")
    return out


def test_answers_of_both_heads(run: Path, faces: tuple[FaceDataset, FaceDataset]) -> None:
    train = faces[0]
    teacher = ask([str(run), f" {run} "], train, DISTILL)
    assert {k: v.shape for k, v in teacher.answers.items()} == {
        train.names: (2, len(train), 7),
        ("other", "happy"): (2, len(train), 2),
    }
    assert teacher.names == ("tiny", "tiny-ferplus") * 2
    model, spec = load_model(run / "model.safetensors")
    p = predict(model, train.images, mean=spec.mean, std=spec.std, views=2, temperature=spec.temperature)
    np.testing.assert_allclose(np.exp(teacher.answers[train.names][0]), p, atol=1e-5)
    only = ask([str(run)], replace(train, second=None, second_names=()), ONE_VIEW)
    assert list(only.answers) == [train.names]


def test_asked_once(
    run: Path, faces: tuple[FaceDataset, FaceDataset], own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = ask([str(run)], faces[0], DISTILL)
    kept = sorted(own_cache.glob("teacher-*.npz"))
    assert len(kept) == 2

    def never(*_: object, **__: object) -> None:
        raise AssertionError("the answers are there already")

    with monkeypatch.context() as patch:
        patch.setattr(teachers, "predict", never)
        again = ask([str(run)], faces[0], DISTILL)
        with pytest.raises(AssertionError):
            ask([str(run)], faces[1], DISTILL)  # other faces
        with pytest.raises(AssertionError):
            ask([str(run)], faces[0], ONE_VIEW)  # other views
    assert again.keys == first.keys
    for names in first.answers:
        np.testing.assert_array_equal(first.answers[names], again.answers[names])
    kept[0].write_bytes(kept[0].read_bytes()[:100])  # a damaged file is computed anew
    np.testing.assert_array_equal(
        ask([str(run)], faces[0], DISTILL).answers[faces[0].names], first.answers[faces[0].names]
    )


def test_answers_about_copies(
    run: Path, faces: tuple[FaceDataset, FaceDataset], own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train, augment = faces[0], Augment(degrees=10, shift=3, mirror=0.5, contrast=0.2, erase=0.5)
    copies = replace(ONE_VIEW, copies=3)
    teacher = ask([str(run), str(run)], train, copies, augment)
    assert {k: v.shape for k, v in teacher.answers.items()} == {
        train.names: (3, len(train), 7),
        ("other", "happy"): (3, len(train), 2),
    }
    # each is what the network says about the very copy that a student sees
    model, spec = load_model(run / "model.safetensors")
    x = torch.from_numpy(train.images)[:, None].float()
    for k, draws in enumerate(transforms.copies(len(train), 3)):
        copy = transforms.augment(x, augment, iter(draws.unbind(1)), 48)[:, 0].round().byte().numpy()
        assert (copy != train.images).any()
        p = predict(model, copy, mean=spec.mean, std=spec.std, temperature=spec.temperature)
        np.testing.assert_allclose(np.exp(teacher.answers[train.names][k].astype(float)), p, atol=0.02)  # bf16
    assert not np.array_equal(*teacher.answers[train.names][:2])
    with monkeypatch.context() as patch:
        patch.setattr(teachers, "predict", lambda *_, **__: pytest.fail("the answers are there already"))
        again = ask([str(run), str(run)], train, copies, augment)
    np.testing.assert_array_equal(again.answers[train.names], teacher.answers[train.names])
    other = ask([str(run)], train, copies, replace(augment, erase=0.0))
    assert other.keys[0] != teacher.keys[0]
    with pytest.raises(ConfigError, match="not about copies"):
        ask(["answers.npz"], train, copies, augment)


def test_a_student_follows_and_remembers_its_teachers(
    run: Path, faces: tuple[FaceDataset, FaceDataset], tmp_path: Path
) -> None:
    teacher = ask([str(run)], faces[0], DISTILL)
    out = tmp_path / "student"
    result = train_run(RECIPE, *faces, out, teacher=teacher, device="cpu")
    assert load_model(out / "model.safetensors")[1].data["teachers"] == "tiny, tiny-ferplus"
    alone = train_run(RECIPE, *faces, tmp_path / "alone", device="cpu")
    assert result.history[-1]["train_loss"] != alone.history[-1]["train_loss"]
    with pytest.raises(ConfigError, match="teachers"):
        train_run(RECIPE, *faces, out, device="cpu", resume=True)


def test_other_classes_are_refused(run: Path, faces: tuple[FaceDataset, FaceDataset]) -> None:
    with pytest.raises(ConfigError, match="same classes in one order"):
        ask([str(run)], replace(faces[0], names=tuple("abcdefg")), ONE_VIEW)


def test_answers_in_a_file_take_the_place_of_models(
    run: Path, faces: tuple[FaceDataset, FaceDataset], tmp_path: Path
) -> None:
    train, file = faces[0], tmp_path / "answers.npz"
    teacher = ask([str(run)], train, ONE_VIEW)
    save(teacher, train, file)
    kept = ask([str(file)], train, DISTILL)
    assert kept.names == teacher.names
    for labels, answer in teacher.answers.items():
        np.testing.assert_allclose(np.exp(kept.answers[labels]), np.exp(answer), atol=2e-3)
    both = ask([str(file), str(run)], train, ONE_VIEW)
    assert both.answers[train.names].shape == (2, len(train), 7)
    with pytest.raises(ConfigError, match="other faces"):
        ask([str(file)], faces[1], DISTILL)
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(ModelError, match="no file of a teacher's answers"):
        ask([str(file)], train, DISTILL)


def test_a_cache_that_cannot_be_written_is_done_without(
    run: Path, faces: tuple[FaceDataset, FaceDataset], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path / "file" / "cache"))
    assert ask([str(run)], faces[0], ONE_VIEW).answers[faces[0].names].shape == (1, len(faces[0]), 7)
