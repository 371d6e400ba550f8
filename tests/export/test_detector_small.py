"""The smaller detector: written it computes the same, it is fitted and it learns; the shipped file is measured."""

from __future__ import annotations

import hashlib
import itertools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
torch = pytest.importorskip("torch")

from bench.export.detector_network import HEADS, HEAT, OUTPUTS, convolved, maps_of, steps_of, written  # noqa: E402
from bench.export.detector_pruning import chosen, pruned  # noqa: E402
from bench.export.detector_raising import raising  # noqa: E402
from bench.export.detector_training import TAPS, Phase, distilled, loss_of, tensor_of  # noqa: E402
from bench.runtime.scenes import Placed, Scene  # noqa: E402
from mien.faces import Detection  # noqa: E402

ROOT = Path(__file__).parents[2]
WEIGHTS = ROOT / "src" / "mien" / "weights"


@pytest.fixture(scope="module")
def steps():
    return steps_of(onnx.load(str(WEIGHTS / "centerface.onnx")))


@pytest.fixture(scope="module")
def images():
    cells = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3)).repeat(8, 1).repeat(8, 2)
    return tensor_of([picture.astype(np.uint8) for picture in cells])


def test_read_and_written_again_it_says_what_the_file_says(steps, images):
    import onnxruntime

    image = images[:1].numpy()
    session = onnxruntime.InferenceSession(str(WEIGHTS / "centerface.onnx"), providers=["CPUExecutionProvider"])
    again = onnxruntime.InferenceSession(written(steps, "").SerializeToString(), providers=["CPUExecutionProvider"])
    with torch.no_grad():
        made = maps_of(steps, images[:1])
    mine = [made[HEAT].sigmoid().numpy(), *(made[name].numpy() for name in HEADS[1:])]
    for wanted, one, other in zip(*(s.run(list(HEADS), {"image": image}) for s in (session, again)), mine, strict=True):
        np.testing.assert_allclose(one, wanted, atol=0.02, rtol=0.01)
        np.testing.assert_allclose(other, wanted, atol=0.02, rtol=0.01)


def test_the_channels_that_say_most_are_chosen():
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.normal(size=(500, 6)))
    x[:, 4] = x[:, 1] + 0.01 * x[:, 4]  # says what another one says
    y = torch.stack([3 * x[:, 1] + x[:, 5], x[:, 5] - 2 * x[:, 2]], dim=1)
    assert chosen(x.T @ x, x.T @ y, 3) in ([1, 2, 5], [2, 4, 5])


def test_with_fewer_channels_it_says_more_of_the_same_than_without_a_fit(steps, images):
    made = pruned(steps, images, {"376": 48}, {"535": 16})
    of = {step.output: step for step in made}
    assert len(of["373"].weight) == len(of["376"].weight) == of["376"].groups == of["377"].weight.shape[1] == 48
    assert len(of["535"].weight) == of[HEAT].weight.shape[1] == 16
    with torch.no_grad():
        whole, found = maps_of(steps, images, {"376", "377"}), maps_of(made, images, {"377"})
        plain = next(step for step in steps if step.output == "377")
        cut = convolved(replace(plain, weight=plain.weight[:, :48]), whole["376"][:, :48])
    wanted = whole["377"]
    assert (found["377"] - wanted).square().mean() < 0.1 * wanted.var() < (cut - wanted).square().mean()
    assert (found[HEAT] - whole[HEAT]).abs().mean() < 0.5 * whole[HEAT].std()


def test_learning_brings_it_nearer_to_what_the_whole_network_says(steps, images):
    rng = np.random.default_rng(1)
    worse = [
        replace(s, weight=(s.weight * rng.normal(1, 0.1, s.weight.shape)).astype(np.float32))
        if s.weight is not None
        else s
        for s in steps
    ]
    pictures = [image.permute(1, 2, 0).numpy()[..., ::-1].astype(np.uint8) for image in images]

    def ask(x):
        with torch.no_grad():
            return {name: values for name, values in maps_of(steps, x, TAPS).items() if name in (*OUTPUTS, *TAPS)}

    def off(made):
        with torch.no_grad():
            return float(sum(loss_of(maps_of(made, images, TAPS), ask(images)).values()))

    assert off(steps) == 0
    weights = {HEAT: 1, "scale": 4, "offset": 1, "landmarks": 2, "features": 8}
    phases = [Phase(8, (2e-2, 1e-2), True, weights), Phase(4, (5e-3, 1e-3), False, weights)]
    before, after = off(worse), off(distilled(worse, itertools.repeat(pictures), ask, phases))
    print(before, after)
    assert after < 0.8 * before


def test_a_heat_map_is_raised_until_enough_faces_count_and_false_boxes_are_counted():
    face, other = (40.0, 40.0, 80.0, 80.0), (200.0, 200.0, 230.0, 230.0)
    scene = Scene(np.zeros((240, 320, 3), np.uint8), (Placed(60, 60, 40, 0, "drawn"),), "few")
    wanted = [[Detection(face, 0.9), Detection(other, 0.2)]]
    found = [[Detection(face, 0.405), Detection(other, 0.45)]]
    needed = raising([scene], wanted, found)
    assert needed.by == pytest.approx(np.log(0.6 / 0.4), abs=1e-3)
    assert (needed.kept, needed.false, needed.false_of_float) == (1.0, 1, 0)
    assert raising([scene], wanted, wanted).by == 0


def test_the_shipped_file_is_the_one_that_was_measured():
    measured = json.loads((ROOT / "results" / "detectors.json").read_text(encoding="utf-8"))["files"]["fast"]
    data = (WEIGHTS / measured["name"]).read_bytes()
    assert hashlib.sha256(data).hexdigest() == measured["sha256"]
    licence = (WEIGHTS / "LICENSE.centerface-small").read_text(encoding="utf-8")
    assert "1911.03599" in licence
    assert "Permission is hereby granted, free of charge" in licence
