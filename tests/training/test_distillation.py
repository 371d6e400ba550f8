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
from mien.export.onnx import export_onnx
from mien.models.inference import logits_of_views, predict
from mien.models.weights import load_model, load_network
from mien.training import distillation, teachers, transforms
from mien.training import train as run_training
from mien.training.distillation import Predictions, predict_faces, save_predictions, soft_targets
from mien.training.provenance import seen, sketch
from mien.training.recipe import Augment, Distill, Optimizer, Recipe

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
    run_training(RECIPE, *faces, out=out, device="cpu")
    return out


def test_soft_targets_of_both_heads(run: Path, faces: tuple[FaceDataset, FaceDataset]) -> None:
    train = faces[0]
    teacher = soft_targets([str(run), f" {run} "], train, DISTILL)
    assert {k: v.shape for k, v in teacher.targets.items()} == {
        train.names: (1, len(train), 7),
        ("other", "happy"): (1, len(train), 2),
    }
    assert teacher.names == ("tiny:fer2013", "tiny:votes") * 2
    model, spec = load_model(run / "model.safetensors")
    p = predict(model, train.images, mean=spec.mean, std=spec.std, views=2, temperature=spec.temperature)
    soft = p**0.5 / (p**0.5).sum(1, keepdims=True)  # at temperature 2
    np.testing.assert_allclose(teacher.targets[train.names][0], soft, atol=1e-5)
    only = soft_targets([str(run)], replace(train, second=None, second_names=()), ONE_VIEW)
    assert list(only.targets) == [train.names]


def test_asked_once(
    run: Path, faces: tuple[FaceDataset, FaceDataset], own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = soft_targets([str(run)], faces[0], DISTILL)
    kept = sorted(own_cache.glob("teacher-*.npz"))
    assert len(kept) == 2

    def never(*_: object, **__: object) -> None:
        raise AssertionError("the answers are there already")

    with monkeypatch.context() as patch:
        patch.setattr(teachers, "logits_of_views", never)
        again = soft_targets([str(run)], faces[0], DISTILL)
        with pytest.raises(AssertionError):
            soft_targets([str(run)], faces[1], DISTILL)  # other faces
        with pytest.raises(AssertionError):
            soft_targets([str(run)], faces[0], ONE_VIEW)  # other views
    assert again.keys == first.keys
    for names in first.targets:
        np.testing.assert_array_equal(first.targets[names], again.targets[names])
    kept[0].write_bytes(kept[0].read_bytes()[:100])  # a damaged file is computed anew
    np.testing.assert_array_equal(
        soft_targets([str(run)], faces[0], DISTILL).targets[faces[0].names], first.targets[faces[0].names]
    )


@pytest.mark.parametrize("form", ["run", "onnx"])
def test_heads_of_one_file_are_asked_together(
    form: str,
    run: Path,
    faces: tuple[FaceDataset, FaceDataset],
    own_cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = run
    if form == "onnx":
        file = tmp_path / "a.onnx"
        export_onnx(*load_network(run / "model.safetensors"), file)
    heads = [f"{file}:{name}" for name in ("fer2013", "votes")]
    views = replace(DISTILL, augmented_views=2)
    asked = []

    def counted(forward: object, x: torch.Tensor, *rest: object) -> torch.Tensor:
        asked.append(len(x))
        return logits_of_views(forward, x, *rest)

    monkeypatch.setattr(teachers, "logits_of_views", counted)
    together = soft_targets([str(file)], faces[0], views)  # a file with both heads teaches both labellings
    assert sum(asked) == 2 * len(faces[0])  # two views of each face, not four
    for kept in own_cache.glob("teacher-*.npz"):
        kept.unlink()
    for head in heads:
        for names, own in soft_targets([head], faces[0], views).targets.items():
            np.testing.assert_allclose(together.targets[names].astype(float), own.astype(float), atol=0.01)  # bf16
    assert sum(asked) == 6 * len(faces[0])


def test_soft_targets_of_augmented_views(
    run: Path, faces: tuple[FaceDataset, FaceDataset], own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train, augment = faces[0], Augment(degrees=10, shift=3, mirror=0.5, contrast=0.2, erase=0.5)
    views = replace(ONE_VIEW, augmented_views=3, temperature=1.0)
    teacher = soft_targets([str(run), str(run)], train, views, augment)
    assert {k: v.shape for k, v in teacher.targets.items()} == {
        train.names: (3, len(train), 7),
        ("other", "happy"): (3, len(train), 2),
    }
    # each is what the network says about the very view that a student sees
    model, spec = load_model(run / "model.safetensors")
    x = torch.from_numpy(train.images)[:, None].float()
    for k, draws in enumerate(transforms.augmented_views(len(train), 3)):
        seen = transforms.augment(x, augment, iter(draws.unbind(1)), 48)[:, 0].round().byte().numpy()
        assert (seen != train.images).any()
        p = predict(model, seen, mean=spec.mean, std=spec.std, temperature=spec.temperature)
        np.testing.assert_allclose(teacher.targets[train.names][k].astype(float), p, atol=0.02)  # bf16
    assert not np.array_equal(*teacher.targets[train.names][:2])
    with monkeypatch.context() as patch:
        patch.setattr(teachers, "logits_of_views", lambda *_, **__: pytest.fail("the answers are there already"))
        again = soft_targets([str(run), str(run)], train, views, augment)
    np.testing.assert_array_equal(again.targets[train.names], teacher.targets[train.names])
    other = soft_targets([str(run)], train, views, replace(augment, erase=0.0))
    assert other.keys[0] != teacher.keys[0]
    with pytest.raises(ConfigError, match="not of augmented views"):
        soft_targets(["answers.npz"], train, views, augment)


def test_a_student_follows_and_remembers_its_teachers(
    run: Path, faces: tuple[FaceDataset, FaceDataset], tmp_path: Path
) -> None:
    out = tmp_path / "student"
    result = run_training(RECIPE, *faces, out=out, teacher=str(run), device="cpu")
    spec = load_model(out / "model.safetensors")[1]
    assert spec.data["teachers"] == "tiny:fer2013, tiny:votes"
    assert spec.recipe["distill"]["weight"] == 0.5
    alone = run_training(RECIPE, *faces, out=tmp_path / "alone", device="cpu")
    assert result.history[-1]["train_loss"] != alone.history[-1]["train_loss"]
    with pytest.raises(ConfigError, match="teachers"):
        run_training(RECIPE, *faces, out=out, device="cpu", resume=True)


def test_other_classes_are_refused(run: Path, faces: tuple[FaceDataset, FaceDataset]) -> None:
    with pytest.raises(ConfigError, match="same classes in one order"):
        soft_targets([str(run)], replace(faces[0], names=tuple("abcdefg")), ONE_VIEW)


@pytest.fixture(scope="module")
def runs(run: Path, faces: tuple[FaceDataset, FaceDataset], tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Two teachers that differ."""
    other = tmp_path_factory.mktemp("teachers") / "b"
    run_training(replace(RECIPE, seed=5), *faces, out=other, device="cpu")
    return [str(run), str(other)]


def test_a_file_of_predictions_takes_the_place_of_its_teachers(
    runs: list[str], faces: tuple[FaceDataset, FaceDataset], tmp_path: Path
) -> None:
    """Each softened before their mean, as the runs are, and each with its own weight beside others."""
    train, file = faces[0], tmp_path / "two.npz"
    hot = replace(ONE_VIEW, temperature=3.0)
    save_predictions(predict_faces(runs, train), train, file)
    by_file, by_runs = soft_targets([str(file)], train, hot), soft_targets(runs, train, hot)
    assert by_file.names == by_runs.names == ("tiny:fer2013", "tiny:votes") * 2
    three = soft_targets([str(file), runs[0]], train, hot), soft_targets([*runs, runs[0]], train, hot)
    for labels, targets in by_runs.targets.items():
        np.testing.assert_allclose(by_file.targets[labels], targets, atol=2e-3)
        np.testing.assert_allclose(three[0].targets[labels], three[1].targets[labels], atol=2e-3)


def test_the_mean_is_taken_of_softened_distributions(
    monkeypatch: pytest.MonkeyPatch, faces: tuple[FaceDataset, FaceDataset]
) -> None:
    """By hand: two sure teachers who disagree; softened first, both keep a share for the third class."""
    said = np.log(np.array([[[0.98, 0.01, 0.01]], [[0.01, 0.98, 0.01]]]))
    found = Predictions({("a", "b", "c"): said})
    monkeypatch.setattr(distillation, "predict_faces", lambda *_, **__: found)
    soft = soft_targets([], faces[0], replace(ONE_VIEW, temperature=2.0)).targets["a", "b", "c"][0, 0]
    root = np.sqrt([0.98, 0.01, 0.01])
    expected = root / root.sum()
    assert soft == pytest.approx([(expected[0] + expected[1]) / 2] * 2 + [expected[2]], abs=1e-6)


def test_a_file_of_the_first_release_is_read_and_counts_as_its_teachers(
    run: Path, faces: tuple[FaceDataset, FaceDataset], tmp_path: Path
) -> None:
    train, file = faces[0], tmp_path / "old.npz"
    rows = np.log(np.full((len(train), 7), 1 / 7, np.float16))
    words = {"fingerprint": np.array(train.fingerprint), "names": np.array(["x", "y", "z"])}
    np.savez(file, answer0=rows, labels0=np.array(train.names), **words)
    assert predict_faces([str(file)], train).log_probabilities[train.names].shape == (3, len(train), 7)
    both = soft_targets([str(file), str(run)], train, ONE_VIEW).targets[train.names][0]
    own = soft_targets([str(run)], train, ONE_VIEW).targets[train.names][0]
    np.testing.assert_allclose(both, (3 / 7 + own) / 4, atol=1e-3)


def test_files_of_other_faces_or_damaged_are_refused(
    run: Path, faces: tuple[FaceDataset, FaceDataset], tmp_path: Path
) -> None:
    train, file = faces[0], tmp_path / "a.npz"
    found = predict_faces([str(run)], train)
    save_predictions(found, train, file)
    with pytest.raises(ConfigError, match="other faces"):
        soft_targets([str(file)], faces[1], DISTILL)
    short = Predictions({k: v[:, :-1] for k, v in found.log_probabilities.items()}, found.teachers)
    save_predictions(short, train, file)
    with pytest.raises(ConfigError, match=f"{len(train) - 1} rows for {len(train)} faces"):
        soft_targets([str(file)], train, DISTILL)
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(ModelError, match="no file of teachers' predictions"):
        soft_targets([str(file)], train, DISTILL)


def test_a_teacher_that_has_learnt_the_validation_faces_is_refused(
    faces: tuple[FaceDataset, FaceDataset], tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    made = FaceDataset(rng.integers(0, 256, (80, 48, 48)).astype(np.uint8), ("a", "b"), np.arange(80) % 2)
    plain = replace(RECIPE, votes_weight=0.0)
    parts = [split_train_val(made, 0.25, seed) for seed in (0, 1)]
    run_training(plain, *parts[0], out=tmp_path / "teacher", device="cpu")
    teacher = str(tmp_path / "teacher")
    with pytest.raises(ConfigError, match=r"has learnt faces that are to validate here.*--split-seed 0"):
        run_training(replace(plain, seed=1), *parts[1], teacher=teacher, device="cpu")
    run_training(replace(plain, seed=1), *parts[0], teacher=teacher, device="cpu")
    # the file of its predictions remembers it
    file = tmp_path / "said.npz"
    save_predictions(predict_faces([teacher], parts[1][0]), parts[1][0], file)
    with pytest.raises(ConfigError, match="has learnt faces that are to validate here"):
        run_training(plain, *parts[1], teacher=str(file), device="cpu")


def test_sketches_of_many_faces_find_a_sample() -> None:
    images = np.random.default_rng(1).integers(0, 256, (2000, 8, 8)).astype(np.uint8)
    learnt = sketch(images[:1500])
    assert len(learnt) == 256 * 12
    found, checked = seen(learnt, images[1200:1800])
    assert 60 < checked < 160  # 256 of 1,500, so 17 % of 600
    assert found / checked == pytest.approx(0.5, abs=0.15)
    assert seen(learnt, images[1500:])[0] == 0
    assert seen(learnt, images[1200:1800], known=images[1200:1500])[0] == 0
    assert seen(sketch(images[:10]), images[5:20]) == (5, 15)  # all of few are kept


def test_a_cache_that_cannot_be_written_is_done_without(
    run: Path, faces: tuple[FaceDataset, FaceDataset], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path / "file" / "cache"))
    assert soft_targets([str(run)], faces[0], ONE_VIEW).targets[faces[0].names].shape == (1, len(faces[0]), 7)
