"""The device: which provider a word means, what is said where it is not here, and OpenVINO beside onnxruntime."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from needs import needs_package
from onnx_nets import write_net

from mien.errors import ConfigError
from mien.results.provenance import provenance_of
from mien.runtime import CenterFace, Predictor
from mien.runtime.devices import CPU, providers_for

ASTRONAUT = Path(__file__).parents[2] / "examples" / "astronaut.jpg"


def test_a_word_means_a_provider_and_cuda_comes_first_where_it_is():
    assert providers_for("cpu", [CPU]) == providers_for("auto", ["AzureExecutionProvider", CPU]) == [CPU]
    assert providers_for("auto", ["CUDAExecutionProvider", CPU]) == ["CUDAExecutionProvider", CPU]
    assert providers_for("coreml", ["CoreMLExecutionProvider", CPU])[0] == "CoreMLExecutionProvider"


@pytest.mark.parametrize(
    ("device", "error"), [("cuda", "onnxruntime has CPU: pip install onnxruntime-gpu"), ("tpu", "must be cpu, cuda")]
)
def test_a_device_that_is_not_here(device, error):
    with pytest.raises(ConfigError, match=error):
        providers_for(device, [CPU])


def test_the_provider_stands_in_every_tables_metadata(tmp_path):
    predictor = Predictor(write_net(tmp_path / "tiny.onnx"), "none", 1, device="cpu")
    found = provenance_of(predictor, "none")
    assert found.to_dict()["provider"] == predictor.provider == CPU
    assert found.differences({**found.to_dict(), "provider": "openvino"}) == ["the provider openvino, not none"]


@needs_package("openvino")
def test_openvino_finds_and_says_the_same(tmp_path):
    net = write_net(tmp_path / "tiny.onnx")
    one, other = (Predictor(net, threads=1, device=device) for device in ("cpu", "openvino"))
    copy = pickle.loads(pickle.dumps(other))
    expected, face = one.predict(ASTRONAUT)[0], copy.predict(ASTRONAUT)[0]
    assert (copy.provider, copy.detector.device) == ("openvino", "openvino")
    assert face.label == expected.label
    np.testing.assert_allclose(face.box, expected.box, atol=2)  # the detector's input has another margin
    crops = expected.crop[None]
    np.testing.assert_allclose(other.predict_crops(crops), one.predict_crops(crops), atol=1e-5)


@needs_package("openvino")
def test_other_devices_get_inputs_of_few_sizes(monkeypatch):
    detector, shapes = CenterFace(size=320, threads=1, device="openvino"), set()
    run = detector._session.run
    monkeypatch.setattr(
        detector._session, "run", lambda names, feeds, options: shapes.add(feeds["image"].shape) or run(names, feeds)
    )
    for height in range(180, 321, 20):
        detector.look(np.zeros((height, 320, 3), np.uint8), 1.0)
    assert shapes == {(1, 3, 320, 320)}
