"""export: the temperature goes into the graph, and what leaves torch is what onnxruntime answers."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mien.errors import ModelError
from mien.evaluation.model import open_model
from mien.export.onnx import _Deployed, _difference, export_onnx
from mien.models import create_model, fuse
from mien.models.inference import predict
from mien.models.weights import load_model, save_model
from mien.runtime import Classifier
from mien.spec import ModelSpec

FACES = np.random.default_rng(0).integers(0, 256, (6, 48, 48)).astype(np.uint8)
LABELS = tuple("abcdefg")


class Headless(nn.Module):
    """A net whose last layer has another name."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(48 * 48, 7)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(x.flatten(1)) * 3


class Misleading(Headless):
    """A net whose ``head`` is no head."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(48 * 48, 48 * 48)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(torch.relu(self.head(x.flatten(1))))


@pytest.mark.parametrize("name", ["deep-emotion-2019", "mien-nano"])
@pytest.mark.parametrize("temperature", [1.0, 1.7, 0.1])
def test_a_file_and_its_export_give_the_same_probabilities(name: str, temperature: float, tmp_path: Path) -> None:
    torch.manual_seed(0)
    calibration = {"temperature": temperature, "threshold": 0.07, "n": 100}
    spec = ModelSpec("m", LABELS, temperature=temperature, calibration=calibration, model={"name": name})
    save_model(tmp_path / "m.safetensors", fuse(create_model(name)), spec)
    model, spec = load_model(tmp_path / "m.safetensors")
    before = model.head.weight.clone()
    expected = predict(model, FACES, mean=spec.mean, std=spec.std, temperature=spec.temperature)
    export_onnx(model, spec, tmp_path / "m.onnx")
    net = Classifier(tmp_path / "m.onnx", threads=1)
    np.testing.assert_allclose(net(FACES).probabilities, expected, atol=1e-5)
    assert net.spec.temperature == 1
    assert net.spec.calibration == calibration
    assert torch.equal(model.head.weight, before)  # the copy was divided, not the model
    scored = open_model(tmp_path / "m.onnx")
    again = predict(scored.forward, FACES, mean=spec.mean, std=spec.std, temperature=scored.spec.temperature)
    np.testing.assert_allclose(again, expected, atol=1e-5)


def test_a_net_without_a_head_is_divided_at_its_end(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = Headless().eval()
    export_onnx(model, ModelSpec("m", LABELS, temperature=4.0), tmp_path / "m.onnx")
    net = Classifier(tmp_path / "m.onnx", threads=1)
    expected = predict(model, FACES, mean=0.5, std=0.25, temperature=4.0)
    np.testing.assert_allclose(net(FACES).probabilities, expected, atol=1e-5)
    assert net.spec.calibration == {"temperature": 4.0}


def test_the_parity_check_sees_a_division_in_the_wrong_place(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, spec = Misleading().eval(), ModelSpec("m", LABELS)
    assert export_onnx(model, spec, tmp_path / "plain.onnx") <= 1e-4
    with pytest.raises(ModelError, match="nothing was written"):
        export_onnx(model, ModelSpec("m", LABELS, temperature=4.0), tmp_path / "m.onnx")
    assert not (tmp_path / "m.onnx").exists()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_model_whose_outputs_are_not_finite_is_not_exported(value: float, tmp_path: Path) -> None:
    model = Headless().eval()
    with torch.no_grad():
        model.last.weight[0, 0] = value
    with pytest.raises(ModelError, match=r"an output is not finite .* nothing was"):
        export_onnx(model, ModelSpec("m", LABELS), tmp_path / "m.onnx")
    assert list(tmp_path.iterdir()) == []


def test_nan_in_a_part_of_the_outputs_is_a_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = ModelSpec("m", LABELS)
    deployed = _Deployed(Headless(), spec).eval()

    class Session:
        """Runs as a broken runtime would: one number of the second batch is no number."""

        def __init__(self, data: bytes, providers: list[str]) -> None: ...

        def run(self, names: None, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
            logits = deployed(torch.from_numpy(feeds["faces"]))[0].numpy().copy()
            if len(logits) == 2:
                logits[1, 3] = np.nan
            return [logits]

    monkeypatch.setattr("mien.export.onnx.load_onnxruntime", lambda: SimpleNamespace(InferenceSession=Session))
    assert np.isnan(_difference(deployed, b"", spec))


def test_a_name_that_predict_would_refuse_is_refused_before_anything_is_done(tmp_path):
    from mien.errors import ConfigError
    from mien.export.onnx import export_onnx

    with pytest.raises(ConfigError, match=r"must end in \.onnx, got .*x\.txt; try .*x\.onnx"):
        export_onnx(None, None, tmp_path / "x.txt")
    assert list(tmp_path.iterdir()) == []
