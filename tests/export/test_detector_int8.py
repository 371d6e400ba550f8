"""The face detector in int8: written in other words it computes the same, and the shipped file is the measured one."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
torch = pytest.importorskip("torch")

from bench.export.detector import quantized  # noqa: E402
from bench.export.detector_fitting import balanced, computed, fitted, sampled  # noqa: E402
from bench.export.detector_steps import HEADS, HEAT, Range, best_range, rounded, steps_of  # noqa: E402

ROOT = Path(__file__).parents[2]
WEIGHTS = ROOT / "src" / "mien" / "weights"


@pytest.fixture(scope="module")
def steps():
    return steps_of(onnx.load(str(WEIGHTS / "centerface.onnx")))


def maps(steps, image):
    kept = {"image": torch.from_numpy(image)}
    with torch.no_grad():
        for step in steps:
            made = computed(step, [kept[name] for name in step.inputs])
            kept[step.output] = torch.relu(made) if step.relu else made
    return [kept[HEAT].sigmoid().numpy(), *(kept[name].numpy() for name in HEADS[1:])]


@pytest.fixture(scope="module")
def image():
    cells = np.random.default_rng(0).integers(0, 256, (1, 3, 8, 6)).repeat(8, 2).repeat(16, 3)
    return cells.astype(np.float32)


def test_steps_and_balanced_steps_compute_what_the_float_file_does(steps, image):
    import onnxruntime

    session = onnxruntime.InferenceSession(str(WEIGHTS / "centerface.onnx"), providers=["CPUExecutionProvider"])
    wanted = session.run(list(HEADS), {"image": image})
    with torch.no_grad():
        even, _ = balanced(steps, sampled(steps, torch.from_numpy(image)))
    assert any(not np.array_equal(a.learnt[0], b.learnt[0]) for a, b in zip(steps, even, strict=True) if a.learnt)
    for made in (maps(steps, image), maps(even, image)):
        for one, other in zip(made, wanted, strict=True):
            np.testing.assert_allclose(one, other, atol=0.02, rtol=0.01)


def test_the_int8_model_says_about_what_float32_says(steps, image):
    import onnxruntime

    picture = np.ascontiguousarray(image[0].transpose(1, 2, 0)[..., ::-1]).astype(np.uint8)
    model = quantized(*fitted(steps, [picture], [picture]))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    made = session.run(list(HEADS), {"image": image})
    for one, other in zip(made[1:], maps(steps, image)[1:], strict=True):
        assert np.abs(one - other).mean() < 0.3 * np.abs(other).std() + 0.02
    kinds = {node.op_type for node in model.graph.node}
    assert "Relu" not in kinds
    assert {"QuantizeLinear", "DequantizeLinear"} <= kinds


def test_the_best_range_clips_an_outlier_and_holds_zero():
    values = np.concatenate([np.random.default_rng(0).normal(0, 1, 400_000), [12.0]]).astype(np.float32)
    found = best_range(values)
    whole = Range(float(values.max() - values.min()) / 255, round(-255 * float(values.min() / np.ptp(values))))
    assert found.scale < whole.scale
    assert rounded(np.zeros(1, np.float32), found)[0] == 0
    assert np.square(rounded(values, found) - values).sum() < np.square(rounded(values, whole) - values).sum()


def test_the_shipped_file_is_the_one_that_was_measured():
    measured = json.loads((ROOT / "results" / "detectors.json").read_text(encoding="utf-8"))["files"]["fast"]
    data = (WEIGHTS / measured["name"]).read_bytes()
    assert hashlib.sha256(data).hexdigest() == measured["sha256"]
    licence = (WEIGHTS / "LICENSE.centerface-int8").read_text(encoding="utf-8")
    assert "1911.03599" in licence
    assert "Permission is hereby granted, free of charge" in licence
