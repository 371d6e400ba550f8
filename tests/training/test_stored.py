"""Training on faces that stay on the disk: the same weights, bit for bit, also in colour and after a break."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mien.data import FaceDataset
from mien.data.packed import pack
from mien.data.readers.problems import Reading
from mien.data.synthetic.generate import generate
from mien.errors import DataError
from mien.evaluation.model import open_model
from mien.evaluation.scoring import evaluate
from mien.training.ahead import read_ahead
from mien.training.loop import Batch, Stopped, fit
from mien.training.preparation import make_network, prepare
from mien.training.recipe import Augment, Optimizer, Recipe
from mien.training.run import train

RECIPE = Recipe(
    name="tiny",
    model="deep-emotion-2019",
    options={"transformer": "none"},
    epochs=2,
    batch_size=16,
    ema=0.9,
    deduplicate=True,
    channels=3,
    optimizer=Optimizer("sgd", lr=0.01),
    augment=Augment(degrees=10, mirror=0.5, brightness=0.1, erase=0.5),
)


@pytest.fixture(scope="module")
def tinted() -> FaceDataset:
    """Drawn faces, each in colours of its own; the last is a copy of the first."""
    ds = generate(61, seed=2)
    tints = np.random.default_rng(0).uniform(0.4, 1, (61, 1, 1, 3))
    images = (ds.images[..., None] * tints).astype(np.uint8)
    images[60] = images[0]
    return replace(ds, images=images)


@pytest.fixture(scope="module")
def stored(tinted: FaceDataset, tmp_path_factory: pytest.TempPathFactory) -> FaceDataset:
    out = tmp_path_factory.mktemp("packs") / "tinted"
    return pack(lambda kept: Reading(tinted), out).dataset


def weights(faces: FaceDataset, stop: int = 0) -> dict[str, torch.Tensor]:
    """The weights after training on ``faces``; with ``stop`` broken off after so many steps and gone on with."""
    ready = prepare(RECIPE, faces.take(slice(15, None)), faces.take(slice(0, 15)))
    state, steps = None, 0

    def on_batch(batch: Batch) -> bool:
        nonlocal steps
        steps += 1
        return steps == stop

    for _ in range(2):
        torch.manual_seed(0)
        network = make_network(ready.recipe, ready.train)
        try:
            fit(network, ready.train, ready.val, ready.recipe, device="cpu", state=state, on_batch=on_batch)
            break
        except Stopped as stopped:
            state = stopped.state
    return {k: v.clone() for k, v in network.state_dict().items()}


def test_stored_faces_make_the_weights_that_the_same_faces_in_memory_make(
    tinted: FaceDataset, stored: FaceDataset
) -> None:
    memory = weights(tinted)
    assert memory["conv1.weight"].shape[-3] == 3
    for found in (weights(stored), weights(stored, stop=4)):
        assert all(torch.equal(memory[k], found[k]) for k in memory)


def test_no_more_is_read_ahead_than_waits(stored: FaceDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    whole = type(stored.images).__array__
    monkeypatch.setattr(type(stored.images), "__array__", lambda s, *a, **k: read.append(1) or whole(s, *a, **k))
    wanted = [np.arange(i, i + 4) for i in range(50)]
    faces = read_ahead(stored.images, wanted)
    first = next(faces)
    assert first.shape == (4, 3, 48, 48)
    assert (first[2].permute(1, 2, 0).numpy() == stored.images[2]).all()
    faces.close()
    assert len(read) <= 9


def test_a_file_that_is_gone_ends_the_run_with_its_name(stored: FaceDataset) -> None:
    gone = replace(stored.images, path=Path("gone.npy"))
    with pytest.raises(DataError, match=r"gone\.npy"):
        next(read_ahead(gone, [np.arange(4)]))


def test_a_run_in_colour_is_calibrated_evaluated_and_kept_in_colour(stored: FaceDataset, tmp_path: Path) -> None:
    part, held = stored.take(slice(15, None)), stored.take(slice(0, 15))
    model = train(replace(RECIPE, epochs=1), part, held, out=tmp_path, device="cpu")
    assert model.spec.channels == 3
    assert model.spec.mean == part.statistics[0]
    kept = open_model(tmp_path)
    assert kept.predict(held.array) == pytest.approx(model.predict(held.array))
    report = evaluate(kept, held, train=part)
    assert report.n == 15
    assert "colours" not in report.conditions
    assert evaluate(kept, held.with_channels(1)).conditions["colours"] == "grey, three times"
    before = np.concatenate([model.predict(held.array[i : i + 1]) for i in range(15)])
    assert before == pytest.approx(model.predict(held.array), abs=1e-5)
