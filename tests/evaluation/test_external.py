"""External models: functions and foreign ONNX files, evaluated like ours, against ours, and by group."""

from __future__ import annotations

import csv
import gzip
import json
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from face_files import csv_of
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from onnx_nets import write_net
from sklearn.metrics import f1_score

from mien.classical import make_classical, save_estimator
from mien.data import FaceDataset, read_faces
from mien.data.save_images import save_images
from mien.data.synthetic.generate import generate
from mien.errors import ConfigError, DataError, ModelError
from mien.evaluation import (
    Against,
    Evaluation,
    ExternalModel,
    as_model,
    assess,
    class_names,
    open_callable,
    open_models,
    open_onnx,
    read_groups,
    shared,
)
from mien.evaluation.groups import NO_GROUP, SMALL, GroupScore, by_group, homogeneity, largest_gap
from mien.evaluation.metrics import Report, wilson
from mien.evaluation.model import open_model
from mien.evaluation.scoring import evaluate
from mien.evaluation.significance import compare_pairs
from mien.labels import FER2013, FERPLUS
from mien.spec import ModelSpec

SPEC = ModelSpec("tiny", FER2013.names, mean=0.5, std=0.25)
SEVEN = ",".join(FER2013.names)
SEVEN_FACES = FaceDataset(np.zeros((7, 2, 2), np.uint8), FER2013.names)


@pytest.fixture(scope="module")
def faces() -> FaceDataset:
    return generate(70, seed=2)


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Write a module into the current folder and get its name; what importing changes is undone."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "modules", dict(sys.modules))

    def write(text: str, name: str = "model_of_a_test") -> str:
        (tmp_path / f"{name}.py").write_text(f"import numpy as np\n{text}\n")
        sys.modules.pop(name, None)
        import importlib

        importlib.invalidate_caches()
        return name

    return write


# ---- functions


def test_probabilities_numbers_and_names_give_the_same_scores(module, faces) -> None:
    name = module(
        f"LABELS = {FER2013.names!r}\n"
        "def numbers(x):\n    return x[:, 20, 20].astype(int) % 7\nnumbers.labels = LABELS\n"
        "def names(x):\n    return [LABELS[i] for i in numbers(x)]\n"
        "def rows(x):\n    return np.eye(7)[numbers(x)] * 0.93 + 0.01\n"
        "class Net:\n    labels = LABELS\n    def __call__(self, x):\n        return rows(x)\n"
        "net = Net()\n"
    )
    found = {f: evaluate(open_callable(f"{name}:{f}"), faces) for f in ("numbers", "names", "rows", "net")}
    assert len({json.dumps(r.confusion) for r in found.values()}) == 1
    assert found["rows"].log_loss < found["numbers"].log_loss
    assert found["numbers"].conditions["output"] == found["names"].conditions["output"] == "labels only"
    assert "output" not in found["rows"].conditions
    assert found["rows"].conditions["labels"] == "taken to be FER2013's"
    assert "labels" not in found["net"].conditions
    assert found["rows"].conditions["model"] == f"{name}:rows"


def test_names_are_matched_and_labels_may_come_in_any_order(module, faces) -> None:
    name = module("def say(x):\n    return ['Joy'] * len(x)\ndef always(x):\n    return np.zeros(len(x), np.uint8)\n")
    said = evaluate(open_callable(f"{name}:say"), faces)
    assert np.sum(said.confusion, 0).tolist() == [0, 0, 0, 70, 0, 0, 0]
    turned = open_callable(f"{name}:always", labels="happiness,anger,fear,disgust,sadness,surprised,calm")
    assert turned.labels == ("happy", "angry", "fear", "disgust", "sad", "surprise", "neutral")
    assert evaluate(turned, faces).accuracy == said.accuracy


def test_faces_come_in_blocks_and_cannot_be_changed(module) -> None:
    name = module(
        "sizes = []\ndef f(x):\n    sizes.append((x.dtype.name, x.shape))\n    p = np.zeros((len(x), 7))\n"
        "    p[:, 0] = x[:, 0, 0] / 255\n    p[:, 1] = 1 - p[:, 0]\n    x[:] = 0\n    return p\n"
    )
    external = open_callable(f"{name}:f")
    images = np.random.default_rng(0).integers(0, 256, (600, 5, 6), dtype=np.uint8)
    before = images.copy()
    assert np.allclose(external.predict(images)[:, 0], before[:, 0, 0] / 255)
    assert np.array_equal(images, before)
    assert sys.modules[name].sizes == [("uint8", (n, 5, 6)) for n in (256, 256, 88)]


def test_views_are_those_of_our_models(module) -> None:
    name = module(
        "def f(x):\n    left = x[:, :, :3].mean((1, 2)) / 255\n    return np.stack([left, 1 - left], 1)\n"
        "f.labels = 'a', 'b'\n"
    )
    external = open_callable(f"{name}:f")
    images = np.zeros((1, 6, 6), np.uint8)
    images[:, :, :3] = 255  # bright on the left: its mirror is dark there, a shift by 2 brings one column or all
    assert external.predict(images)[0, 0] == 1
    assert external.predict(images, views=2)[0, 0] == 0.5
    # the image and shifts down and up, which change nothing: 1, their mirrors 0; left 1/3, right 1, mirrors 2/3, 0
    whole, mirrored = [1, 1, 1, 1 / 3, 1], [0, 0, 0, 0, 2 / 3]
    assert external.predict(images, views=10)[0, 0] == pytest.approx(np.mean(whole + mirrored))
    with pytest.raises(ConfigError, match=r"views must lie in 1\.\.10"):
        external.predict(images, views=11)
    with pytest.raises(ConfigError, match="at least one image"):
        external.predict(images[:0])


FORMS = {
    "plain": "[{k: v for k, v in zip(KEYS, row)} for row in P]",
    "percentages": "[{k: 100 * v for k, v in zip(KEYS, row)} for row in P]",
    "deepface": "[{'emotion': dict(zip(KEYS, 100 * row)), 'dominant_emotion': 'x', 'region': {}} for row in P]",
    "a list of one face each": "[[{'emotion': dict(zip(KEYS, 100 * row))}] for row in P]",
    "FER": "[[{'box': (0, 0, 9, 9), 'emotions': dict(zip(KEYS, row.round(2)))}] for row in P]",
    "labels and scores": "[[{'label': k, 'score': v} for k, v in zip(KEYS, row)] for row in P]",
    "columns": "dict(zip(KEYS, P.T))",
    "tensors": "[{k: torch.tensor(v) for k, v in zip(KEYS, row)} for row in P]",
    "a generator": "({k: v for k, v in zip(KEYS, row)} for row in P)",
    "percentages in rows": "100 * P[:, ORDER]",
}


@pytest.mark.parametrize("form", FORMS)
def test_dictionaries_of_other_libraries_are_understood(module, form) -> None:
    keys = ["happiness", "Anger", "sad", "surprise", "neutral", "disgust", "fear"]
    order = [keys.index(k) for k in ("Anger", "disgust", "fear", "happiness", "sad", "surprise", "neutral")]
    name = module(
        f"import torch\nKEYS, ORDER = {keys}, {order}\nP = np.random.default_rng(0).dirichlet(np.ones(7), 20)\n"
        f"def f(x):\n    return {FORMS[form]}"
    )
    p = np.random.default_rng(0).dirichlet(np.ones(7), 20)[:, order]
    got = open_callable(f"{name}:f").predict(np.zeros((20, 8, 8), np.uint8))
    assert np.allclose(got, p, atol=0.02 if form == "FER" else 1e-6)
    assert np.allclose(got.sum(1), 1)


def test_the_example_scores_as_the_model_that_it_wraps(faces, monkeypatch) -> None:
    monkeypatch.chdir(Path(__file__).resolve().parents[2])
    found = evaluate(open_callable("examples.any_model:predict"), faces.take(slice(0, 12)))
    assert found.confusion == evaluate("mien-nano", faces.take(slice(0, 12))).confusion


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("[{'happy': 90.0}] * 5", "row 0: its shares sum to 90; those of all classes sum to 1, or to 100"),
        (
            "[{'dominant_emotion': 'happy'}] * 5",
            "row 0: is a dictionary with 'dominant_emotion'; must be p.*'emotion'",
        ),
        ("[{}] * 5", r"row 0: is a dictionary with ; must be probabilities"),
        ("[{'happy': 0.5, 'joy': 0.5}] * 5", "the class 'joy' is there twice"),
        ("[{'happy': float('nan')}] * 5", "the class 'happy' has the value nan, not a number of 0 or more"),
        ("[{'happy': 2, 'sad': -1}] * 5", "the class 'sad' has the value -1"),
        ("[{'happy': 0.5, 'bored': 0.5}] * 5", "row 0: names the class 'bored', none of angry, .*--labels"),
        ("[{'happy': 1.0}] * 4", "returned 4 dictionaries for 5 faces"),
        ("{'emotion': {'happy': 1.0}}", "returned 1 dictionaries for 5 faces"),
        ("[[{'happy': 1.0}]] * 4 + [[]]", "row 4: holds no face; .* switch its detection off"),
        ("[[{'happy': 1.0}, {'happy': 1.0}]] * 5", "row 0: holds 2 faces; return the largest one's"),
        ("[{'happy': 1.0}] * 4 + [None]", "row 4: is None; must be probabilities"),
        ("[{'happy': '1.0'}] * 5", "row 0: is a dictionary with 'happy'; must be"),
    ],
)
def test_dictionaries_that_break_a_rule_are_named(module, body, message) -> None:
    external = open_callable(f"{module(f'def f(x):{chr(10)}    return {body}')}:f")
    with pytest.raises(ModelError, match=message):
        external.predict(np.zeros((5, 8, 8), np.uint8))


@pytest.mark.parametrize(
    ("body", "labels", "message"),
    [
        (
            "raise ValueError('no idea')",
            None,
            r"faces 0\.\.69 \(uint8 \(70, 48, 48\)\): failed with ValueError: no idea",
        ),
        ("raise RuntimeError", None, "failed with RuntimeError; call it"),
        (
            "return None",
            None,
            r"must return probabilities \(N, K\), class numbers .*one dictionary a face.*got NoneType",
        ),
        ("return np.zeros((69, 7))", None, r"got float64 \(69, 7\)"),
        ("return np.zeros((70, 7, 1))", None, r"got float64 \(70, 7, 1\)"),
        ("return np.full((70, 7), np.nan)", None, r"row 0 is \[nan, .*apply softmax"),
        (
            "p = np.full((70, 7), 1 / 7)\n    p[3, :2] = -1, 2\n    return p",
            None,
            r"not negative and sum to 1 .or 100.; row 3 is \[-1, 2, 0\.1429",
        ),
        ("return np.ones((70, 7))", None, r"sum to 1 .or 100.; row 0 is \[1, 1"),
        ("return np.full((70, 8), 1 / 8)", None, "8 probabilities a face and nobody said .*--labels"),
        ("return np.full((70, 8), 1 / 8)", SEVEN, "8 probabilities a face for the 7 labels angry"),
        ("return np.full((70, 7), 'x')", None, "probabilities must be numbers"),
        ("return np.zeros(70, int)", None, "class numbers, and nobody said what they mean"),
        ("return np.arange(70) % 8", SEVEN, r"lie in 0\.\.6, row 7 is 7"),
        ("return np.zeros(70, int) - 1", SEVEN, r"lie in 0\.\.6, row 0 is -1"),
        ("return np.zeros(70)", SEVEN, r"whole numbers \(int\), got float64"),
        ("return np.zeros(70, bool)", SEVEN, r"whole numbers \(int\), got bool"),
        ("return ['sad'] * 69 + ['hungry']", None, "row 69 is 'hungry', which is none of angry"),
        ("return ['sad'] * 69 + [None]", None, "row 69 is None"),
        ("return [[1], [1, 2]] * 35", None, "must return probabilities.*got ValueError"),
    ],
)
def test_what_a_function_does_wrong_is_named(module, faces, body, labels, message) -> None:
    external = open_callable(f"{module(f'def f(x):{chr(10)}    {body}')}:f", labels)
    with pytest.raises(ModelError, match=message) as error:
        evaluate(external, faces)
    assert "callable model_of_a_test:f" in str(error.value)


def test_the_place_of_a_later_failure_is_named(module) -> None:
    name = module("def f(x):\n    assert len(x) == 256, 'short'\n    return np.full((len(x), 7), 1 / 7)\n")
    with pytest.raises(ModelError, match=r"faces 256\.\.299 .*AssertionError: short"):
        open_callable(f"{name}:f").predict(np.zeros((300, 4, 4), np.uint8))


@pytest.mark.parametrize(
    ("text", "word", "message"),
    [
        ("", "{}", "must be module:function, such as"),
        ("", "{}:", "must be module:function"),
        ("", "/tmp/{}.py:f", "must be module:function"),
        ("", "no_such_thing:f", "no module 'no_such_thing' in "),
        ("import no_such_thing", "{}:f", "no module 'no_such_thing' in "),
        ("raise OSError('disk')", "{}:f", "failed with OSError: disk; try python -c 'import"),
        ("import sys; sys.exit(3)", "{}:f", "failed with SystemExit: 3"),
        ("def (", "{}:f", "failed with SyntaxError"),
        ("def g(x): ...", "{}:f", "there is no f; there are g$"),
        ("f = 3", "{}:f", "is a int, not a function"),
        ("class f: ...", "{}:f", "is a class, not a function"),
        ("f = len\n", "{}:f.deep", "there is no deep"),
    ],
)
def test_functions_that_cannot_be_had_are_named(module, text, word, message) -> None:
    with pytest.raises(ModelError, match=message):
        open_callable(word.format(module(text)))


@given(st.text(max_size=30))
@settings(max_examples=60, deadline=None)
def test_any_word_for_a_function_gets_an_error_of_ours(word: str) -> None:
    before = list(sys.path)
    try:
        with pytest.raises(ModelError, match="callable"):
            open_callable(word)
    finally:
        sys.path[:] = before


def test_class_names() -> None:
    assert class_names("ferplus") == class_names(["FERplus"]) == FERPLUS.names
    assert class_names("Joy, anger ,other") == ("happy", "angry", "other")
    assert class_names(["joy", "happy"]) == ("joy", "happy")  # two words for one expression stay as they are
    for wrong in ("", "happy", "happy,,sad", ["sad", "sad"]):
        with pytest.raises(ConfigError, match="two or more different classes"):
            class_names(wrong)


# ---- ONNX files of others


def save(graph: onnx.GraphProto, path: Path) -> Path:
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def foreign(
    path: Path,
    shape: tuple[Any, ...] = ("n", 1, 48, 48),
    *,
    k: int = 7,
    dtype: int = TensorProto.FLOAT,
    softmax: bool = False,
    inputs: int = 1,
    tail: tuple[int, ...] = (),
    outputs: tuple[int, ...] = (),
) -> Path:
    """The linear net of ``onnx_nets`` behind another door: channels are averaged first, in whatever layout."""
    layout = "NHW" if len(shape) == 3 else "NHWC" if shape[3] in (1, 3) else "NCHW"
    side = next((d for d in shape[1:] if isinstance(d, int) and d > 3), 48)
    weight = np.random.default_rng(0).normal(0, 8 / side, (side * side, k)).astype(np.float32)
    nodes = [helper.make_node("Cast", ["x"], ["y"], to=TensorProto.FLOAT)]
    if layout != "NHW":
        axis = layout.index("C")
        nodes.append(helper.make_node("ReduceMean", ["y"], ["grey"], axes=[axis], keepdims=0))
    else:
        nodes.append(helper.make_node("Identity", ["y"], ["grey"]))
    nodes.append(helper.make_node("Flatten", ["grey"], ["flat"], axis=1))
    nodes.append(helper.make_node("MatMul", ["flat", "w"], ["z"]))
    nodes.append(
        helper.make_node("Softmax", ["z"], ["p"], axis=1) if softmax else helper.make_node("Identity", ["z"], ["p"])
    )
    weights = [numpy_helper.from_array(weight, "w")]
    out = "p"
    if tail:
        weights.append(numpy_helper.from_array(np.array([-1, k, *tail], np.int64), "t"))
        nodes.append(helper.make_node("Reshape", ["p", "t"], ["q"]))
        out = "q"
    outs = [helper.make_tensor_value_info(out, TensorProto.FLOAT, [shape[0], k, *tail])]
    for i, width in enumerate(outputs):
        weights.append(numpy_helper.from_array(weight[:, :1].repeat(width, 1), f"w{i}"))
        nodes.append(helper.make_node("MatMul", ["flat", f"w{i}"], [f"extra{i}"]))
        outs.append(helper.make_tensor_value_info(f"extra{i}", TensorProto.FLOAT, [shape[0], width]))
    ins = [helper.make_tensor_value_info("x", dtype, list(shape))]
    for i in range(inputs - 1):
        ins.append(helper.make_tensor_value_info(f"more{i}", TensorProto.FLOAT, [1]))
        nodes.append(helper.make_node("Identity", [f"more{i}"], [f"same{i}"]))
        outs.append(helper.make_tensor_value_info(f"same{i}", TensorProto.FLOAT, [1]))
    graph = helper.make_graph(nodes, "foreign", ins, outs, weights)
    return save(graph, path)


@pytest.mark.parametrize("views", [1, 10])
def test_our_own_file_without_its_spec_predicts_the_same(tmp_path, faces, views) -> None:
    ours = open_model(write_net(tmp_path / "a.onnx", SPEC))
    external = open_onnx(write_net(tmp_path / "b.onnx", SPEC, with_spec=False), labels=SEVEN, pixels="0.5,0.25")
    assert np.allclose(external.predict(faces.images, views=views), ours.predict(faces.images, views=views), atol=1e-5)
    assert evaluate(external, faces).confusion == evaluate(ours, faces).confusion


@pytest.mark.parametrize(
    ("shape", "pixels", "dtype"),
    [
        (("n", 1, 48, 48), "0.5,0.25", TensorProto.FLOAT),
        (("n", 3, 48, 48), "0.5,0.25", TensorProto.FLOAT),
        (("n", 3, 48, 48), "0.5,0.5,0.5,0.25,0.25,0.25", TensorProto.FLOAT),
        (("n", 48, 48, 1), "0.5,0.25", TensorProto.FLOAT),
        ((5, 48, 48, 3), "0.5,0.25", TensorProto.DOUBLE),
        ((1, 48, 48), "0.5,0.25", TensorProto.FLOAT),
        (("n", "h", "w"), "0.5,0.25", TensorProto.FLOAT),
        ((300, 1, "h", "w"), "0.5,0.25", TensorProto.FLOAT),
    ],
)
def test_every_layout_and_batch_gives_the_same_probabilities(tmp_path, faces, shape, pixels, dtype) -> None:
    wanted = open_model(write_net(tmp_path / "a.onnx", SPEC)).predict(faces.images)
    for softmax in (False, True):
        external = open_onnx(
            foreign(tmp_path / "b.onnx", shape, dtype=dtype, softmax=softmax), labels=SEVEN, pixels=pixels
        )
        assert np.allclose(external.predict(faces.images), wanted, atol=1e-4)
        assert external.notes["output"] == ("probabilities" if softmax else "no probabilities, softmax applied")
    assert re.match(r"N[CHW]+, [13] channels?, (48|any) x (48|any), pixels 0\.5", external.notes["input"])


def test_pixels_of_each_scale(tmp_path) -> None:
    """What the net is given is seen through an identity: one pixel, one number."""
    graph = helper.make_graph(
        [helper.make_node("Flatten", ["x"], ["p"], axis=1)],
        "same",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 1, 1, 2])],
        [helper.make_tensor_value_info("p", TensorProto.FLOAT, ["n", 2])],
    )
    save(graph, tmp_path / "a.onnx")
    image = np.array([[[0, 255]]], np.uint8)
    for pixels, span in {"0..255": 255, "0..1": 1, "-1..1": 2, "0.3,0.5": 2, "0,4": 0.25}.items():
        external = open_onnx(tmp_path / "a.onnx", labels="a,b", pixels=pixels, layout="NCHW")
        p = external.predict(image)[0]
        wanted = [0, 1] if span == 1 else [1 / (1 + np.exp(span)), 1 / (1 + np.exp(-span))]  # 0 and 1 sum to 1 already
        assert p == pytest.approx(wanted, abs=1e-6), pixels


def test_uint8_and_float16_inputs(tmp_path, faces) -> None:
    wanted = open_onnx(foreign(tmp_path / "a.onnx"), labels=SEVEN).predict(faces.images)
    for dtype in (TensorProto.UINT8, TensorProto.FLOAT16):
        external = open_onnx(foreign(tmp_path / "b.onnx", dtype=dtype), labels=SEVEN)
        assert np.allclose(external.predict(faces.images), wanted)
    with pytest.raises(ConfigError, match=r"must be 0\.\.255 for a network that takes uint8"):
        open_onnx(foreign(tmp_path / "c.onnx", dtype=TensorProto.UINT8), labels=SEVEN, pixels="0..1")


def test_faces_are_resized_to_the_graphs_side(tmp_path, faces) -> None:
    import cv2

    small = np.stack([cv2.resize(f, (32, 32), interpolation=cv2.INTER_AREA) for f in faces.images])
    fixed = open_onnx(foreign(tmp_path / "a.onnx", ("n", 1, 32, 32)), labels=SEVEN, pixels="0..1")
    assert fixed.size is None
    assert np.array_equal(fixed.predict(faces.images), fixed.predict(small))
    # a graph with open sides is given faces as they are, or of the size that was asked for
    path = foreign(tmp_path / "b.onnx", ("n", 1, "h", "w"))
    wide = open_onnx(path, labels=SEVEN, pixels="0..1")
    with pytest.raises(ModelError, match=r"could not run it on float32 \(70, 1, 32, 32\).*give --size"):
        wide.predict(small)
    sized = open_onnx(path, labels=SEVEN, pixels="0..1", size=48)
    assert sized.predict(small).shape == (70, 7)
    assert np.array_equal(sized.predict(faces.images), wide.predict(faces.images))
    oblong = open_onnx(foreign(tmp_path / "c.onnx", ("n", 1, 48, 48)), labels=SEVEN, pixels="0..1")
    assert oblong.predict(faces.images[:, :, 4:44]).shape == (70, 7)


def test_the_output_is_found_by_its_width(tmp_path, faces) -> None:
    alone = open_onnx(foreign(tmp_path / "a.onnx"), labels=SEVEN).predict(faces.images)
    for extra in ({"tail": (1, 1)}, {"outputs": (2, 5)}):
        external = open_onnx(foreign(tmp_path / "b.onnx", **extra), labels=SEVEN)
        assert np.array_equal(external.predict(faces.images), alone)
    with pytest.raises(ModelError, match=r"must have one output of the shape \(N, 7\), got p tensor.*extra0"):
        open_onnx(foreign(tmp_path / "c.onnx", outputs=(7,)), labels=SEVEN)


@pytest.mark.parametrize(
    ("made", "options", "message"),
    [
        ({}, {"labels": None}, "labels must name its 7 classes in output order"),
        ({"outputs": (2,)}, {"labels": None}, "labels must name its classes in output order"),
        ({}, {"labels": "ferplus"}, "gives 7 numbers a face, labels name 8 classes"),
        ({}, {"pixels": "0..2"}, r"pixels must be 0\.\.255, 0\.\.1, -1\.\.1, or MEAN,STD"),
        ({}, {"pixels": "0.5,0"}, "STD above 0"),
        ({}, {"pixels": "nan,1"}, "pixels must be"),
        ({}, {"pixels": "1,2,3,4"}, "pixels must be"),
        ({}, {"pixels": ".5,.5,.5,.2,.2,.2"}, "three channels, the network has 1"),
        ({}, {"layout": "HW"}, "layout must be one of NCHW, NHWC, NHW"),
        ({}, {"layout": "NHW"}, "which is not NHW"),
        ({}, {"layout": "NHWC"}, "as NHWC 48 channels; it must have 1 or 3"),
        ({}, {"size": 32}, "size must be 48, which the graph of .* fixes, got 32"),
        ({}, {"size": 0}, "size must be 1 or more"),
        ({"shape": ("n", 2, 48, 48)}, {}, "may be NCHW or NHWC; say which with --layout"),
        ({"shape": ("n", 2, 48, 48)}, {"layout": "NCHW"}, "as NCHW 2 channels"),
        ({"shape": ("n", "c", 48, 48)}, {"layout": "NCHW"}, "as NCHW any number of channels"),
        ({"inputs": 3}, {}, r"has 3 inputs \(x, more0, more1\)"),
        ({"dtype": TensorProto.INT32}, {}, r"the input x is tensor\(int32\)"),
    ],
)
def test_graphs_and_options_that_do_not_fit_are_named(tmp_path, made, options, message) -> None:
    path = foreign(tmp_path / "a.onnx", **made)
    with pytest.raises((ConfigError, ModelError), match=message):
        open_onnx(path, **{"labels": SEVEN, **options})


def test_an_input_without_a_shape_is_named(tmp_path) -> None:
    graph = helper.make_graph(
        [helper.make_node("Flatten", ["x"], ["p"], axis=1)],
        "bare",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, None)],
        [helper.make_tensor_value_info("p", TensorProto.FLOAT, ["n", "k"])],
    )
    save(graph, tmp_path / "a.onnx")
    with pytest.raises(ModelError, match="no known shape"):
        open_onnx(tmp_path / "a.onnx", labels="a,b")
    graph.input[0].CopyFrom(helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", "h", "w"]))
    save(graph, tmp_path / "b.onnx")
    external = open_onnx(tmp_path / "b.onnx", labels="a,b")
    with pytest.raises(ModelError, match=r"shape \(1, 9\), \(1, 2\) is needed"):
        external.predict(np.zeros((1, 3, 3), np.uint8))


def test_outputs_that_stop_being_probabilities_are_named(tmp_path) -> None:
    """The first face's two numbers are 0 and 1, the second's are not; decided once, the rule holds."""
    graph = helper.make_graph(
        [helper.make_node("Flatten", ["x"], ["y"], axis=1), helper.make_node("Div", ["y", "s"], ["p"])],
        "same",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, 2])],
        [helper.make_tensor_value_info("p", TensorProto.FLOAT, [1, 2])],
        [numpy_helper.from_array(np.array([1.0, 1.0], np.float32), "s")],
    )
    save(graph, tmp_path / "a.onnx")
    external = open_onnx(tmp_path / "a.onnx", labels="a,b", pixels="0..1")
    first = np.array([[[0, 255]]], np.uint8)
    assert external.predict(first).tolist() == [[0, 1]]
    with pytest.raises(ModelError, match=r"faces 0\.\.0: gives rows that are not probabilities after"):
        external.predict(first // 2)
    broken = open_onnx(tmp_path / "a.onnx", labels="a,b", pixels="0,1e-45")
    with (
        pytest.raises(ModelError, match="the output for face 0 is not finite; check --pixels"),
        np.errstate(all="ignore"),
    ):
        broken.predict(first)


# ---- one word for all


def test_a_word_opens_what_it_names(tmp_path, module) -> None:
    write_net(tmp_path / "ours.onnx", SPEC)
    write_net(tmp_path / "bare.onnx", SPEC, with_spec=False)
    name = module("def f(x):\n    return np.full((len(x), 7), 1 / 7)\n")
    assert as_model(tmp_path / "ours.onnx").name == "tiny"
    assert as_model("mien-nano").labels == FER2013.names
    assert as_model(f"callable:{name}:f", labels="ferplus").labels == FERPLUS.names
    external = as_model(tmp_path / "bare.onnx", labels=SEVEN, pixels="-1..1", layout="NCHW")
    assert isinstance(external, ExternalModel)
    assert (external.name, external.file) == ("bare", str(tmp_path / "bare.onnx"))
    one, two = open_models([tmp_path / "ours.onnx", tmp_path / "bare.onnx"], labels=SEVEN, pixels="0..1")
    assert (one.name, two.name) == ("tiny", "bare")


def test_what_is_missing_or_idle_is_named(tmp_path, module) -> None:
    write_net(tmp_path / "ours.onnx", SPEC)
    write_net(tmp_path / "bare.onnx", SPEC, with_spec=False)
    with pytest.raises(ModelError, match=r"bare\.onnx: holds no mien spec.*--labels, and --pixels.*its 7 classes"):
        as_model(tmp_path / "bare.onnx")
    with pytest.raises(ConfigError, match=r"^--pixels: .*ours\.onnx cannot take it.*leave it out"):
        as_model(tmp_path / "ours.onnx", pixels="0..1")
    with pytest.raises(ConfigError, match=r"^--layout: "):
        as_model("callable:a:b", layout="NHW")
    with pytest.raises(ConfigError, match="pixels must be"):
        as_model(tmp_path / "bare.onnx", labels=SEVEN, pixels="?")
    with pytest.raises(ModelError, match="no model 'nobody'"):
        as_model("nobody")


# ---- judging


def test_against_is_the_paired_test_of_two_evaluations(tmp_path, faces) -> None:
    ours = open_model(write_net(tmp_path / "a.onnx", SPEC))
    other = open_onnx(write_net(tmp_path / "b.onnx", SPEC, with_spec=False), labels=SEVEN, pixels="-1..1", size=48)
    part, train = faces.part("validation"), faces.part("Training")
    found = assess(ours, part, train=train, against=other, views=2)
    assert found.report == evaluate(ours, part, train=train, views=2)
    assert found.against is not None
    assert found.against.report == evaluate(other, part, train=train, views=2)
    right = [m.predict(part.images, views=2).argmax(1) == part.labels for m in (ours, other)]
    assert found.against.paired == compare_pairs(*right)
    assert found.against.clean is not None
    assert found.against.clean.n == found.report.clean.n
    assert found.against.left_out == {}
    assert assess(ours, part).against is None


def test_a_near_duplicate_in_training_counts_in_no_clean_pair(tmp_path, faces) -> None:
    ours = open_model(write_net(tmp_path / "a.onnx", SPEC))
    part = faces.part("validation")
    found = assess(ours, part, train=part.take([0]), against=ours)
    assert found.against.clean.n <= len(part) - 1
    assert assess(ours, part, train=part, against=ours).against.clean is None


def test_both_are_evaluated_on_what_both_know(tmp_path, module, faces) -> None:
    ours = open_model(write_net(tmp_path / "a.onnx", SPEC))
    name = module("def f(x):\n    return ['happy'] * len(x)\n")
    few = open_callable(f"{name}:f", labels="sad,happy,neutral,contempt")
    labels = faces.labels.copy()
    labels[:5] = -1
    faces = replace(faces, labels=labels)
    counts = dict(zip(faces.names, faces.counts().tolist(), strict=True))
    known = {"sad", "happy", "neutral"}
    for one, two in ((ours, few), (few, ours)):
        found = assess(one, faces, against=two, groups=[str(i % 2) for i in range(len(faces))], group_by="parity")
        assert found.against.left_out == {n: c for n, c in counts.items() if n not in known}
        assert found.report.n == found.against.report.n == found.against.paired.n == sum(counts[n] for n in known)
        assert found.report.names == one.labels
        assert sum(g.n for g in found.groups) == found.report.n
    assert found.report.per_class["happy"]["recall"] == 1
    right = ours.predict(faces.images).argmax(1) == faces.labels
    kept = np.isin(faces.labels, [faces.names.index(n) for n in known])
    assert found.against.report.accuracy == pytest.approx(right[kept].mean())
    with pytest.raises(ConfigError, match="not among them: angry"):
        assess(few, faces)
    with pytest.raises(ConfigError, match=f"share none with all of tiny: {', '.join(FER2013.names)}; {name}:f: x, y"):
        assess(ours, faces, against=open_callable(f"{name}:f", labels="x,y"))
    mask, left = shared(faces, ours)
    assert mask.all()
    assert left == {}


def test_a_model_of_another_size_sees_resized_faces(tmp_path, faces) -> None:
    ours = open_model(write_net(tmp_path / "a.onnx", SPEC))
    small = open_model(write_net(tmp_path / "b.onnx", replace(SPEC, name="small", size=24)))
    found = assess(ours, faces, against=small)
    assert found.against.report.conditions["resized"] == "from 48 x 48 to 24 x 24 pixels"
    assert "resized" not in found.report.conditions
    halved = replace(faces, images=faces.images[:, ::2, ::2])
    assert assess(ours, halved).report.conditions["resized"] == "from 24 x 24 to 48 x 48 pixels"
    assert assess(ours, halved).report.confusion == assess(ours, halved.resized(48)).report.confusion


def test_wrong_faces_are_named_before_the_work(tmp_path, faces, monkeypatch) -> None:
    ours = open_model(write_net(tmp_path / "a.onnx", SPEC))
    monkeypatch.setattr("mien.evaluation.assessment.near_duplicates", lambda *_: pytest.fail("worked first"))
    with pytest.raises(ConfigError, match="no labelled faces"):
        assess(ours, replace(faces, labels=np.full(len(faces), -1)), train=faces)
    with pytest.raises(ConfigError, match="it has no labels"):
        assess(ours, replace(faces, labels=None), train=faces, against=ours)
    with pytest.raises(ConfigError, match="each of the 70 faces, got 3"):
        assess(ours, faces, groups=["a"] * 3)


def test_what_was_found_survives_json(tmp_path, faces) -> None:
    ours = open_model(write_net(tmp_path / "a.onnx", SPEC))
    part = faces.part("validation")
    groups = read_groups(part, "subject")
    found = assess(
        ours, part, train=faces.part("Training"), against=ours, groups=groups, group_by="subject", corrupt=True
    )
    raw = json.loads(json.dumps(found.to_dict()))
    assert {"against", "groups", "robustness"} <= set(raw)
    assert Evaluation.from_dict(raw) == found
    assert Report.from_dict(raw) == found.report
    plain = assess(ours, part)
    assert Evaluation.from_dict(json.loads(json.dumps(plain.to_dict()))) == plain
    assert not {"against", "groups", "robustness"} & set(plain.to_dict())
    with pytest.raises(ConfigError, match=r"unknown: \['other'\]"):
        Report.from_dict({**raw, "other": 1})
    with pytest.raises(ConfigError, match=r"against must have .*\['paired'\]"):
        Against.from_dict({k: v for k, v in raw["against"].items() if k != "paired"})
    with pytest.raises(ConfigError, match=r"groups must have .*\['x'\]"):
        Evaluation.from_dict({**raw, "groups": {**raw["groups"], "x": 1}})
    with pytest.raises(ConfigError, match=r"a group must have .*\['n'\]"):
        GroupScore.from_dict({k: v for k, v in raw["groups"]["scores"][0].items() if k != "n"})


# ---- groups


def test_scores_by_group_agree_with_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(4), 200)
    y = rng.integers(0, 4, 200)
    each = np.where(np.arange(200) < 100, "old", np.where(np.arange(200) < 171, "young", "a[b]"))
    y[each == "a[b]"] = 2
    found = by_group(p, y, each.tolist(), ("a", "b", "c", "d"))
    assert [(g.group, g.n, g.small) for g in found] == [("old", 100, False), ("young", 71, False), ("a[b]", 29, True)]
    for g in found:
        yes, said = y[each == g.group], p[each == g.group].argmax(1)
        assert g.accuracy == pytest.approx((yes == said).mean())
        assert g.ci95 == wilson(int((yes == said).sum()), g.n)
        if g.group == "a[b]":
            assert g.macro_f1 is None  # one class: nothing can be taken for it wrongly
        else:
            wanted = f1_score(yes, said, labels=np.unique(yes), average="macro", zero_division=0)
            assert g.macro_f1 == pytest.approx(wanted)
    with pytest.raises(ConfigError, match="each of the 200 faces, got 1"):
        by_group(p, y, ["old"], ("a", "b", "c", "d"))


def group(name: str, hits: int, n: int) -> GroupScore:
    return GroupScore(name, n, hits / n, wilson(hits, n), 0.5, n < SMALL)


def test_the_largest_gap_counts_no_small_group() -> None:
    assert gap(group("a", 90, 100), group("b", 40, 100), group("c", 0, 29), group(NO_GROUP, 0, 300)) == (
        "largest gap 50.0 points, between a (90.0%, n 100) and b (40.0%, n 100); the groups differ (test of "
        "homogeneity over 2 groups, p < 0.001); apart from the rest, corrected by Holm: a, b"
    )
    assert "no difference shown: chance may account for it" in gap(group("a", 20, 40), group("b", 18, 40))
    assert gap(group("a", 20, 40), group("c", 1, 3)) == "no gap can be stated: 1 of 2 groups hold 30 faces or more"
    assert "same accuracy" in gap(group("a", 20, 40), group("b", 30, 60))


def gap(*groups: GroupScore) -> str:
    return largest_gap(groups, homogeneity(groups))


def test_own_columns(faces) -> None:
    assert read_groups(faces, "subject") == faces.subject.tolist()
    assert read_groups(faces, "split") == faces.split.tolist()
    labels = faces.labels.copy()
    labels[0] = -1
    found = read_groups(replace(faces, labels=labels, subject=np.array(["", *faces.subject[1:]])), "label")
    assert found == [NO_GROUP, *(faces.names[k] for k in labels[1:])]
    with pytest.raises(ConfigError, match="needs to know who is on each picture"):
        read_groups(replace(faces, subject=None), "subject")
    with pytest.raises(ConfigError, match=r"one of subject, split, label for synthetic.*got 'age'"):
        read_groups(faces, "age")


def test_a_column_is_joined_by_row_number(tmp_path, faces) -> None:
    file = tmp_path / "g.csv"
    file.write_text("\ufeffage;Row;note\nold;3;x\n young ;1;\n;2;y\n\nold;99;z\n", encoding="utf-8")
    part = faces.take([3, 1, 2, 0])
    assert read_groups(part, "age", file) == ["old", "young", NO_GROUP, NO_GROUP]
    assert read_groups(part, "NOTE", file) == ["x", NO_GROUP, "y", NO_GROUP]
    (tmp_path / "g.csv.gz").write_bytes(gzip.compress(file.read_bytes()))
    assert read_groups(part, "age", tmp_path / "g.csv.gz") == ["old", "young", NO_GROUP, NO_GROUP]


def test_a_csv_of_faces_is_its_own_table(tmp_path, faces) -> None:
    few = replace(faces.take(slice(0, 6)), subject=None)
    lines = csv_of(few).decode().splitlines()
    ages = ["age", "", "old", "young", "old", "young", "old"]
    file = tmp_path / "f.csv"
    file.write_text(
        "\n".join(
            f"{line},{age}" if i else f"{line},age" for i, (line, age) in enumerate(zip(lines, ages, strict=True))
        )
    )
    read = replace(few, source=str(file))
    assert read_groups(read, "age") == [NO_GROUP, *ages[2:]]
    assert read_groups(read.take([4, 2]), "age") == ["young", "young"]
    assert read_groups(read, "age", file) == [NO_GROUP, *ages[2:]]  # the same file, named
    assert csv.field_size_limit() == 131072
    other = tmp_path / "other.csv"
    other.write_text("age\nold\n")
    with pytest.raises(ConfigError, match=r"other\.csv: must have a column row"):
        read_groups(read, "age", other)


def test_an_exports_index_is_its_own_table(tmp_path, faces) -> None:
    save_images(faces, tmp_path / "out")
    index = tmp_path / "out" / "index.csv"
    rows = list(csv.reader(index.read_text().splitlines()))
    index.write_text("\n".join(",".join([*row, "age" if i == 0 else f"a{row[1]}"]) for i, row in enumerate(rows)))
    read = read_faces(tmp_path / "out")
    assert read_groups(read, "age") == [f"a{r}" for r in read.rows]
    assert read_groups(faces, "age", index) == [f"a{r}" for r in faces.rows]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("row,b\n0,x\n", "has no column 'age'; there are 'row', 'b'"),
        ("age\nx\n", "must have a column row"),
        ("row,age\n1.5,x\n", r"g\.csv:2: row must be a whole number, got '1\.5'"),
        ("row,age\n1,x\n\n1,y\n", r"g\.csv:4: row 1 is there twice, as 'x' and as 'y'"),
        ("row,age\n1,x,y\n", r"g\.csv:2: has 3 columns where 2 are expected"),
        ("row,age\n900,x\n", "none of its row numbers is one of the 70 faces"),
        (" \n\n", "has no column 'age'; there are none"),
        ("", "the file is empty"),
        ("row,age\0", "is no CSV text; give a CSV with the column by --groups"),
        (b"row,age\n1,\xff\n", "cannot be read after this line"),
        ("," * 400, r"there are '', .*, \.\.\."),
    ],
)
def test_tables_that_cannot_be_joined_are_named(tmp_path, faces, text, message) -> None:
    file = tmp_path / "g.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises((ConfigError, DataError), match=message):
        read_groups(faces, "age", file)


def test_what_is_no_table_is_named(tmp_path, faces) -> None:
    with pytest.raises(DataError, match="no such file"):
        read_groups(faces, "age", tmp_path / "nowhere.csv")
    with pytest.raises(ConfigError, match="must be a CSV file"):
        read_groups(faces, "age", tmp_path)


@given(st.binary(max_size=120))
@settings(max_examples=80, deadline=None)
def test_any_bytes_are_a_table_or_an_error_of_ours(tmp_path_factory, data: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "fuzzed.csv"
    file.write_bytes(b"row,age\n" + data)
    try:
        found = read_groups(SEVEN_FACES, "age", file)
    except (ConfigError, DataError):
        return
    assert len(found) == 7


def test_a_classical_method_is_a_model_too(tmp_path: Path) -> None:
    faces = generate(70, seed=3)
    known = faces.take(faces.labels != 2)  # a class that it never saw
    pipeline = make_classical("lbp-svm").fit(known.images, known.labels)
    save_estimator(tmp_path / "model.skops", pipeline, about={"name": "lbp-svm", "names": list(faces.names)})
    for word in (tmp_path, tmp_path / "model.skops"):
        found = as_model(word)
        p = found.predict(faces.images)
        assert (found.name, found.labels) == ("lbp-svm", faces.names)
        assert p.shape == (70, 7)
        assert not p[:, 2].any()
        np.testing.assert_allclose(p.sum(1), 1)
        assert (p.argmax(1) == pipeline.predict(faces.images)).all()
    save_estimator(tmp_path / "nameless.skops", pipeline, about={})
    with pytest.raises(ModelError, match="does not say its classes"):
        as_model(tmp_path / "nameless.skops")
