"""int8: smaller, close to the float32 network, with its spec; what must stay exact stays float32."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from blob_faces import NAMES, TRAIN, VAL

from mien.errors import ConfigError, DataError, ModelError
from mien.export.onnx import export_onnx
from mien.export.quantize import quantize_onnx
from mien.models import create_model
from mien.runtime import Classifier
from mien.spec import ModelSpec
from mien.training.loop import fit
from mien.training.recipe import Optimizer, Recipe


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """mien-nano, trained for a moment."""
    torch.manual_seed(0)
    recipe = Recipe("tiny", "mien-nano", epochs=6, batch_size=16, ema=0.9, optimizer=Optimizer("adamw", lr=0.01))
    model, _ = fit(create_model("mien-nano", num_classes=3), TRAIN, VAL, recipe, device="cpu")
    mean, std = TRAIN.statistics
    file = tmp_path_factory.mktemp("int8") / "full.onnx"
    export_onnx(model, ModelSpec("tiny", NAMES, mean=mean, std=std, model={"name": "mien-nano"}), file)
    return file


def test_int8_is_smaller_and_close(exported: Path, tmp_path: Path) -> None:
    small = tmp_path / "small.onnx"
    quantize_onnx(exported, small, TRAIN.images)
    assert small.stat().st_size < exported.stat().st_size / 2
    full, quarter = Classifier(exported, threads=1), Classifier(small, threads=1)
    assert (full.spec.precision, quarter.spec.precision) == ("float32", "int8")
    a, b = full(VAL.images), quarter(VAL.images)
    assert VAL.labels is not None
    assert (b.probabilities.argmax(1) == VAL.labels).mean() > 0.9
    np.testing.assert_allclose(a.probabilities, b.probabilities, atol=0.15)
    assert a.theta is not None
    assert b.theta is not None
    np.testing.assert_allclose(a.theta, b.theta, atol=1.3e-4)  # float32, rounded
    kinds = [n.op_type for n in onnx.load(str(small)).graph.node]
    assert kinds.count("QuantizeLinear") > 5


def test_what_comes_before_the_first_int8_number_is_the_same_in_any_order_of_sums(
    exported: Path, tmp_path: Path
) -> None:
    small = tmp_path / "small.onnx"
    quantize_onnx(exported, small, TRAIN.images)
    theta = Classifier(small, threads=1)(VAL.images).theta
    assert theta is not None
    np.testing.assert_array_equal(theta * 2**12 % 1, 0)
    before = Classifier(exported, threads=1)(VAL.images).theta
    assert before is not None
    assert (before * 2**12 % 1).any()

    graph = onnx.load(str(small)).graph
    values = {w.name: onnx.numpy_helper.to_array(w) for w in graph.initializer}
    conv = next(n for n in graph.node if n.op_type == "Conv" and n.input[0].endswith(".rounded"))
    weight = values[conv.input[1]]
    taps = weight.reshape(len(weight), -1)
    bias = values[conv.input[2]] if len(conv.input) > 2 else np.zeros(len(weight), np.float32)
    spec = Classifier(small, threads=1).spec
    lowest = np.float32(-np.max(spec.mean) / np.min(spec.std))
    rng = np.random.default_rng(0)
    seen = np.round(rng.uniform(lowest, -lowest, (500, 1, taps.shape[1])) * 2**9) / 2**9
    terms = np.concatenate([(seen * taps).astype(np.float32), np.broadcast_to(bias[:, None], (500, len(bias), 1))], 2)
    forth, back = (np.cumsum(t, axis=2, dtype=np.float32)[..., -1] for t in (terms, terms[..., ::-1]))
    np.testing.assert_array_equal(forth, back)
    np.testing.assert_array_equal(forth, (seen * taps.astype(np.float64)).sum(2) + bias)


def test_gates_have_so_few_steps_that_hardly_a_face_lies_between_two(exported: Path, tmp_path: Path) -> None:
    small = tmp_path / "small.onnx"
    quantize_onnx(exported, small, TRAIN.images)
    graph = onnx.load(str(small))
    gates = [n.output[0] for n in graph.graph.node if n.op_type == "Sigmoid"]
    assert gates
    seen = [name.removesuffix(".unrounded") for name in gates]
    graph.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in (*gates, *seen))
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    faces = (VAL.images[:8, None] / 255).astype(np.float32)
    before, after = (session.run(names, {"faces": faces}) for names in (gates, seen))
    for own, rounded in zip(before, after, strict=True):
        assert (own * 2**6 % 1).any()
        np.testing.assert_array_equal(rounded, np.round(own * 2**6) / 2**6)


def test_the_scales_come_from_the_same_faces_each_time(exported: Path, tmp_path: Path) -> None:
    for name in ("a.onnx", "b.onnx"):
        quantize_onnx(exported, tmp_path / name, TRAIN.images)
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


def test_wrong_input_is_named_and_nothing_is_written(exported: Path, tmp_path: Path) -> None:
    small = tmp_path / "small.onnx"
    with pytest.raises(ConfigError, match="at least 32"):
        quantize_onnx(exported, small, TRAIN.images[:5])
    with pytest.raises(DataError, match=r"uint8 \(N, 48, 48\)"):
        quantize_onnx(exported, small, TRAIN.images[:, :40])
    assert not small.exists()
    quantize_onnx(exported, small, TRAIN.images)
    with pytest.raises(ModelError, match="int8 already"):
        quantize_onnx(small, tmp_path / "again.onnx", TRAIN.images)
