"""Runs in a folder: files, resume after a real SIGKILL, Ctrl-C, and folders that can't be used."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from mien.cli import app
from mien.data import FaceDataset, split_train_val
from mien.data.duplicates import near_duplicates
from mien.data.synthetic.generate import generate
from mien.errors import ConfigError, ModelError, OutputError
from mien.evaluation.calibration import conformal_threshold, fit_temperature
from mien.evaluation.corruptions import corrupt_moderately
from mien.evaluation.model import open_model
from mien.evaluation.scoring import evaluate
from mien.files import check_writable, replace_file
from mien.models.inference import predict
from mien.models.weights import load_model, load_network
from mien.training.checkpoint import load_state, save_state
from mien.training.finishing import recalibrated
from mien.training.loop import Batch, State, Stopped
from mien.training.recipe import Optimizer, Recipe
from mien.training.run import train
from mien.training.timing import epochs_within

RECIPE = Recipe(
    name="tiny",
    model="deep-emotion-2019",
    options={"transformer": "feature", "dropout": 0.1},
    epochs=2,
    batch_size=32,
    ema=0.9,
    optimizer=Optimizer("adamw", lr=0.01),
)


@pytest.fixture(scope="module")
def faces() -> tuple[FaceDataset, FaceDataset]:
    return split_train_val(generate(160, seed=1, identities=8), 0.3)


@pytest.fixture(scope="module")
def done(faces: tuple[FaceDataset, FaceDataset], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "whole"
    train(RECIPE, *faces, out=out, device="cpu")
    return out


def test_a_run_leaves_its_files(done: Path, faces: tuple[FaceDataset, FaceDataset]) -> None:
    names = {p.name for p in done.iterdir()}
    assert names == {".lock", "history.json", "curves.png", "state.safetensors", "model.safetensors", "evaluation.json"}
    history = json.loads((done / "history.json").read_text())
    assert [e["epoch"] for e in history] == [1, 2]
    _, spec = load_model(done / "model.safetensors")
    assert spec.recipe["epochs"] == 2
    assert spec.data["fingerprint"] == faces[0].fingerprint
    assert spec.scores["validation"]["n"] == len(faces[1])
    assert spec.model == {"name": "deep-emotion-2019", "transformer": "feature", "dropout": 0.1}
    report = json.loads((done / "evaluation.json").read_text())
    assert report["accuracy"] == pytest.approx(history[-1]["val_accuracy"])
    again = evaluate(open_model(done), faces[1], train=faces[0])
    assert again.accuracy == report["accuracy"]
    assert again.clean is not None


def test_a_run_is_calibrated_on_the_validation_part(done: Path, faces: tuple[FaceDataset, FaceDataset]) -> None:
    model, spec = load_model(done / "model.safetensors")
    val, found = faces[1], spec.calibration
    assert (found["n"], found["fingerprint"], found["split"]) == (len(val), val.fingerprint, "validation")
    assert found["temperature"] == spec.temperature != 1
    assert json.loads((done / "evaluation.json").read_text())["log_loss"] < found["log_loss_before"]
    p = predict(model, val.images, mean=spec.mean, std=spec.std, temperature=spec.temperature)
    q = predict(model, corrupt_moderately(val.images), mean=spec.mean, std=spec.std, temperature=spec.temperature)
    plain, least = conformal_threshold(p, val.labels), conformal_threshold(q, val.labels, 0.85)
    assert found["threshold"] == pytest.approx(min(plain, least))


@pytest.mark.parametrize("copied", [30, 70])
def test_calibration_leaves_faces_with_a_copy_in_training_out(copied: int) -> None:
    """A network is surer of what it has learnt; where fewer than 20 others are left, nothing is fitted."""
    faces = replace(generate(190, seed=1, identities=8), split=None)
    part, val = faces.take(slice(0, 110)), faces.take(slice(110 - copied, 190 - copied))
    assert near_duplicates(val.images, part.images).sum() == copied
    model = train(replace(RECIPE, epochs=1), part, val, device="cpu")
    assert (model.report.n, model.report.clean.n) == (80, 80 - copied)
    if copied == 70:
        assert (model.spec.calibration, model.spec.temperature) == ({}, 1.0)
        return
    assert (model.spec.calibration["n"], model.spec.calibration["rows"]) == (50, "clean")
    p = predict(model.network, val.images[copied:], mean=model.spec.mean, std=model.spec.std)
    assert model.spec.temperature == pytest.approx(fit_temperature(np.log(p), val.labels[copied:]))


def test_each_number_of_views_has_its_temperature(done: Path, faces: tuple[FaceDataset, FaceDataset]) -> None:
    loaded = open_model(done)
    spec, val = loaded.spec, faces[1]
    kept = {"1": spec.temperature, **{v: found["temperature"] for v, found in spec.calibration["views"].items()}}
    assert sorted(kept) == ["1", "10", "2"]
    assert [loaded.temperature(v) for v in (1, 2, 10)] == pytest.approx([kept["1"], kept["2"], kept["10"]])

    def log_loss(temperature: float) -> float:
        p = predict(loaded.forward, val.images, mean=spec.mean, std=spec.std, views=10, temperature=temperature)
        return -np.log(p[np.arange(len(val)), val.labels]).mean()

    assert kept["10"] != kept["1"]
    assert log_loss(kept["10"]) < log_loss(kept["1"])
    p = predict(loaded.forward, val.images, mean=spec.mean, std=spec.std, views=10, temperature=kept["10"])
    np.testing.assert_allclose(loaded.predict(val.images, views=10), p)


def test_a_second_head_is_calibrated_on_the_rows_that_have_shares(tmp_path: Path) -> None:
    faces = generate(160, seed=1, identities=8)
    rng = np.random.default_rng(0)
    shares = rng.dirichlet(np.ones(3), 160).astype(np.float32)
    shares[::4] = 0
    both = replace(faces, second=shares, second_names=("x", "y", "z"))
    part, val = both.take(slice(0, 100)), both.take(slice(100, 160))
    train(replace(RECIPE, epochs=1, votes_weight=1.0), part, val, out=tmp_path / "run", device="cpu")
    model, spec = load_model(tmp_path / "run" / "model.safetensors", "votes")
    assert spec.labels == ("x", "y", "z")
    known = val.second.any(1)
    assert (spec.calibration["n"], spec.calibration["fingerprint"]) == (known.sum(), val.fingerprint)
    assert spec.temperature == spec.calibration["temperature"]
    assert next(iter(spec.scores.values()))["n"] == 45
    p = predict(model, val.images[known], mean=spec.mean, std=spec.std)
    assert spec.temperature == pytest.approx(fit_temperature(np.log(p), val.second[known].argmax(1)))
    first = load_model(tmp_path / "run" / "model.safetensors")[1]
    assert [h.name for h in first.heads] == ["fer2013", "votes"]
    assert next(iter(first.scores.values()))["n"] == first.calibration["n"] == 60
    assert first.temperature != spec.temperature
    network, whole = load_network(tmp_path / "run" / "model.safetensors")
    clean = ~near_duplicates(val.images, part.images)
    again, anew = recalibrated(network, replace(whole, temperature=9.0), val, clean, val.fingerprint)
    assert [h.calibration for h in anew.heads] == [h.calibration for h in whole.heads]
    torch.testing.assert_close(again.head.weight, network.head.weight)


def test_too_few_rows_leave_a_run_uncalibrated(faces: tuple[FaceDataset, FaceDataset], tmp_path: Path) -> None:
    train(replace(RECIPE, epochs=1), faces[0], faces[1].take(slice(0, 19)), out=tmp_path / "run", device="cpu")
    spec = load_model(tmp_path / "run" / "model.safetensors")[1]
    assert (spec.temperature, spec.calibration) == (1.0, {})


def test_a_folder_with_a_run_is_not_overwritten(done: Path, faces: tuple[FaceDataset, FaceDataset]) -> None:
    with pytest.raises(ConfigError, match="--resume"):
        train(RECIPE, *faces, out=done, device="cpu")
    with pytest.raises(ConfigError, match=r"recipe.optimizer.lr 0.01 -> 0.5"):
        train(RECIPE.override(lr=0.5), *faces, out=done, device="cpu", resume=True)
    with pytest.raises(ConfigError, match="train"):
        train(RECIPE, faces[0].take(slice(0, 64)), faces[1], out=done, device="cpu", resume=True)


def test_a_finished_run_without_its_state_is_not_overwritten(
    done: Path, faces: tuple[FaceDataset, FaceDataset], tmp_path: Path
) -> None:
    shutil.copytree(done, tmp_path / "run")
    (tmp_path / "run" / "state.safetensors").unlink()
    kept = (tmp_path / "run" / "model.safetensors").read_bytes()
    for resume in (False, True):
        with pytest.raises(ConfigError, match="finished run without the state"):
            train(RECIPE, *faces, out=tmp_path / "run", device="cpu", resume=resume)
    assert (tmp_path / "run" / "model.safetensors").read_bytes() == kept


def test_two_starts_in_one_folder_are_one(faces: tuple[FaceDataset, FaceDataset], tmp_path: Path) -> None:
    refused: list[str] = []

    def again(_: object) -> None:
        with pytest.raises(ConfigError, match="another training is running here") as error:
            train(RECIPE, *faces, out=tmp_path / "run", device="cpu", resume=True)
        refused.append(str(error.value))

    train(replace(RECIPE, epochs=1), *faces, out=tmp_path / "run", device="cpu", on_epoch=again)
    assert len(refused) == 1


def test_an_older_mien_s_run_goes_on(faces: tuple[FaceDataset, FaceDataset], tmp_path: Path) -> None:
    """Its keys had other names, some are new since, every recipe had a table distill, the average another name."""
    out, file = tmp_path / "run", tmp_path / "run" / "state.safetensors"
    recipe = replace(RECIPE, epochs=3)
    whole = train(recipe, *faces, device="cpu").network.state_dict()
    with pytest.raises(Stopped):
        train(recipe, *faces, out=out, device="cpu", on_batch=lambda b: b.epoch == 2 and b.step == 1)
    state, run = load_state(file)
    old = run["recipe"]
    old["drop_copies"] = old.pop("deduplicate")
    old["optimizer"]["l2"] = old["optimizer"].pop("weight_decay")
    old["optimizer"]["slow"] = old["optimizer"].pop("transformer_lr_factor")
    del old["optimizer"]["clip"], old["augment"]["mixup"], old["size"], old["adversary"]
    old["distill"] = {"weight": 0.8, "temperature": 2.0, "views": 2, "copies": 0}
    tensors = {k.replace("ema.", "average.", 1) if k.startswith("ema.") else k: v for k, v in state.tensors.items()}
    assert any(k.startswith("average.") for k in tensors)
    save_state(file, replace(state, tensors=tensors), run)
    again = train(recipe, *faces, out=out, device="cpu", resume=True).network.state_dict()
    assert all(torch.equal(whole[k], again[k]) for k in whole)


def test_resuming_a_finished_run_changes_nothing(done: Path, faces: tuple[FaceDataset, FaceDataset]) -> None:
    before = load_model(done / "model.safetensors")[0].state_dict()
    train(RECIPE, *faces, out=done, device="cpu", resume=True)
    after = load_model(done / "model.safetensors")[0].state_dict()
    assert all(torch.equal(before[k], after[k]) for k in before)


def command(recipe: Path, out: Path) -> list[str]:
    words = ["--data", "synthetic:160,seed=1", "--out", str(out), "--resume", "--device", "cpu", "--threads", "1"]
    return ["train", str(recipe), *words]


@pytest.fixture(scope="module")
def recipe_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("recipe") / "tiny.toml"
    file.write_text(
        'model = "deep-emotion-2019"\nepochs = 10\nbatch_size = 16\nema = 0.9\n'
        '[optimizer]\nname = "adamw"\nlr = 0.01\nschedule = "cosine"\n[augment]\ndegrees = 5\nmirror = 0.5\n'
    )
    return file


@contextlib.contextmanager
def start(recipe: Path, out: Path) -> Iterator[subprocess.Popen[bytes]]:
    words = [sys.executable, "-m", "mien", *command(recipe, out)]
    with subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        try:
            yield child
        finally:
            child.kill()


def finish(recipe: Path, out: Path) -> dict[str, torch.Tensor]:
    """In this process: what another one began must not matter either."""
    threads = torch.get_num_threads()
    result = CliRunner().invoke(app, command(recipe, out))
    torch.set_num_threads(threads)
    assert result.exit_code == 0, result.output
    return load_file(out / "state.safetensors")


def wait_for(path: Path, child: subprocess.Popen[bytes], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not path.exists():
        assert child.poll() is None, child.communicate()[1].decode()
        assert time.monotonic() < end, f"{path} did not appear"
        time.sleep(0.01)


@pytest.mark.slow
def test_a_killed_run_ends_with_the_same_weights_bit_for_bit(recipe_file: Path, tmp_path: Path) -> None:
    whole = finish(recipe_file, tmp_path / "whole")
    state, killed = tmp_path / "killed" / "state.safetensors", 0
    for pause in (0.0, 0.2):
        with start(recipe_file, tmp_path / "killed") as child:
            wait_for(state, child)
            before = load_state(state)[0].step
            while child.poll() is None and load_state(state)[0].step == before:
                time.sleep(0.01)
            time.sleep(pause)
            child.kill()
            killed += child.wait() == -signal.SIGKILL
    assert killed == 2
    assert load_state(state)[0].step < 10 * 7
    again = finish(recipe_file, tmp_path / "killed")
    assert [k for k in whole if not torch.equal(whole[k], again[k])] == []


@pytest.mark.slow
def test_ctrl_c_saves_and_says_how_to_go_on(recipe_file: Path, tmp_path: Path) -> None:
    with start(recipe_file, tmp_path / "run") as child:
        wait_for(tmp_path / "run" / "state.safetensors", child)
        child.send_signal(signal.SIGINT)
        _, words = child.communicate(timeout=120)
    assert child.returncode == 130
    assert b"--resume" in words
    state, _ = load_state(tmp_path / "run" / "state.safetensors")
    assert 0 < state.step < 10 * 7


def test_stopping_saves_the_very_step(faces: tuple[FaceDataset, FaceDataset], tmp_path: Path) -> None:
    def stop(batch: Batch) -> bool:
        return batch.step == 2

    with pytest.raises(Stopped):
        train(RECIPE, *faces, out=tmp_path / "run", device="cpu", on_batch=stop)
    assert load_state(tmp_path / "run" / "state.safetensors")[0].step == 2


@pytest.mark.parametrize(("slow_disk", "saved"), [(False, [1, 2, 3, 4]), (True, [1, 4])])
def test_a_state_that_is_slow_to_write_is_not_written_at_every_epochs_end(
    faces: tuple[FaceDataset, FaceDataset],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    slow_disk: bool,
    saved: list[int],
) -> None:
    epochs, now = [], [0.0]

    def write(path: Path, state: State, run: object) -> None:
        epochs.append(state.epoch)
        now[0] += 2.0 if slow_disk else 0.01  # beside epochs of a second

    def tick(epoch: object) -> None:
        now[0] += 1.0

    monkeypatch.setattr("mien.training.folder.save_state", write)
    monkeypatch.setattr("mien.training.folder.time.monotonic", lambda: now[0])
    train(replace(RECIPE, epochs=4), *faces, out=tmp_path / "run", device="cpu", on_epoch=tick)
    assert epochs == saved


def test_folders_that_cannot_be_used_fail_at_the_start(
    faces: tuple[FaceDataset, FaceDataset], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="choose another folder"):
        train(RECIPE, *faces, out=tmp_path / "file" / "run", device="cpu")

    class Full:
        free = 1000

    monkeypatch.setattr("shutil.disk_usage", lambda folder: Full)
    with pytest.raises(OutputError, match="MB free"):
        train(RECIPE, *faces, out=tmp_path / "run", device="cpu")


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")

    def half(path: Path) -> None:
        path.write_text("ha")
        raise OSError(28, "No space left on device")

    with pytest.raises(OutputError, match="No space left"):
        replace_file(target, half)
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_check_writable_makes_the_folder(tmp_path: Path) -> None:
    check_writable(tmp_path / "a" / "b")
    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_damaged_files_are_named(tmp_path: Path) -> None:
    file = tmp_path / "state.safetensors"
    with pytest.raises(ModelError, match="no such file"):
        load_model(file)
    save_state(file, State(step=3, tensors={"a": torch.ones(100)}), {"recipe": {}})
    state, run = load_state(file)
    assert (state.step, run, state.tensors["a"].sum().item()) == (3, {"recipe": {}}, 100)
    with pytest.raises(ModelError, match="holds no mien spec"):
        load_model(file)
    file.write_bytes(file.read_bytes()[:-50])
    with pytest.raises(ModelError, match="cut short"):
        load_state(file)


def test_tensorboard_events_are_written(faces: tuple[FaceDataset, FaceDataset], tmp_path: Path) -> None:
    train(replace(RECIPE, epochs=1), *faces, out=tmp_path / "run", device="cpu", tensorboard=True)
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path / "run"))
    events.Reload()
    history = json.loads((tmp_path / "run" / "history.json").read_text())
    assert set(events.Tags()["scalars"]) == set(history[0])
    (found,) = events.Scalars("val_accuracy")
    assert (found.step, found.value) == (1, pytest.approx(history[0]["val_accuracy"]))


def test_time_decides_the_number_of_epochs(
    faces: tuple[FaceDataset, FaceDataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = iter(np.arange(1000) * 0.5)
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(now)))
    steps = len(faces[0]) // RECIPE.batch_size
    # the engine reads the same clock twice a step, so that a step takes one and a half seconds
    assert epochs_within(RECIPE, faces[0], 100) == int(0.85 * 100 / (1.5 * steps))
    now = iter(np.arange(1000) * 500.0)
    assert epochs_within(replace(RECIPE, deduplicate=True, sizes=((0, 32), (0.5, 48))), faces[0], 1) == 1
