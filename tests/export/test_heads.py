"""Several heads in one file: every way to open it finds each of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from mien.errors import ConfigError, ModelError
from mien.evaluation.heads import BALANCE, WEIGHT, calibrate_mean, class_shift, mean_of_heads, shared_classes, tried
from mien.evaluation.model import open_model
from mien.labels import FER2013, FERPLUS
from mien.runtime import Classifier, Predictor
from mien.spec import SPEC_KEY, Head, ModelSpec

COLUMNS = shared_classes(FER2013.names, FERPLUS.names)
RNG = np.random.default_rng(0)
FACES = RNG.integers(0, 255, (5, 48, 48)).astype(np.uint8)


def linear_net(path: Path, outputs: dict[str, int], spec: ModelSpec) -> Path:
    """A network whose features are the columns' means and whose heads are linear, as an exported file."""
    make, info = onnx.helper.make_node, onnx.helper.make_tensor_value_info
    nodes, values = [make("ReduceMean", ["faces"], ["features"], axes=[1, 2], keepdims=0)], []
    for name, width in outputs.items():
        rng = np.random.default_rng(width)  # so that the two heads of seven are the same
        weight, bias = rng.normal(0, 0.3, (width, 48)), rng.normal(0, 1, width)
        for part, value in (("weight", weight), ("bias", bias)):
            values.append(onnx.numpy_helper.from_array(value.astype(np.float32), f"{name}.{part}"))
        nodes.append(make("Gemm", ["features", f"{name}.weight", f"{name}.bias"], [name], transB=1))
    graph = onnx.helper.make_graph(
        nodes,
        "net",
        [info("faces", onnx.TensorProto.FLOAT, ["faces", 1, 48, 48])],
        [info(name, onnx.TensorProto.FLOAT, ["faces", width]) for name, width in outputs.items()],
        values,
    )
    proto = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=9)
    onnx.helper.set_model_props(proto, {SPEC_KEY: spec.to_json()})
    onnx.checker.check_model(proto)
    onnx.save(proto, path)
    return path


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    return linear_net(tmp_path / "net.onnx", {"logits": 7}, ModelSpec("net", FER2013.names))


@pytest.fixture
def joined(tmp_path: Path) -> Path:
    heads = (
        Head("fer2013", FER2013.names, "logits_fer2013"),
        Head("fer+", FERPLUS.names, "logits_ferplus"),
        Head("valence", ("valence",), "valence", "regression"),
        Head("action units", ("AU6", "AU12"), "units", "multilabel"),
    )
    widths = {"logits": 7, **{h.output: len(h.labels) for h in heads}}
    return linear_net(tmp_path / "two.onnx", widths, ModelSpec("net", FER2013.names, heads=heads))


def test_each_head_says_what_it_says_alone(joined: Path, plain: Path) -> None:
    before = Classifier(plain, threads=1)(FACES).probabilities
    assert Classifier(joined, labels="fer2013", threads=1)(FACES).probabilities == pytest.approx(before, abs=1e-6)
    assert Classifier(joined, threads=1)(FACES).heads["fer+"].shape == (5, 8)


def test_heads_that_tell_no_classes_apart_are_given_as_they_are(joined: Path) -> None:
    heads = Classifier(joined, threads=1)(FACES).heads
    assert ((heads["action units"] > 0) & (heads["action units"] < 1)).all()
    assert (heads["valence"] != np.clip(heads["valence"], 0, 1)).any() or heads["valence"].std() > 0
    with pytest.raises(ModelError, match="tells classes apart"):
        Classifier(joined, labels="valence")


@pytest.mark.parametrize(("labels", "classes"), [(None, 7), ("fer2013", 7), ("fer+", 8), ("ferplus", 8), ("FER+", 8)])
def test_a_predictor_answers_with_the_head_that_is_asked_for(joined: Path, labels: str | None, classes: int) -> None:
    (face,) = Predictor(joined, "none", threads=1, labels=labels).predict(FACES[0])
    assert len(face.probabilities) == classes
    assert set(face.heads) == {"fer2013", "fer+", "valence", "action units"}
    assert sum(face.heads["fer+"].values()) == pytest.approx(1, abs=1e-5)
    assert face.to_dict()["heads"]["fer2013"].keys() == set(FER2013.names)


def test_a_head_is_opened_by_its_name_behind_a_colon(joined: Path) -> None:
    one = open_model(f"{joined}:fer+")
    assert (one.labels, one.name) == (FERPLUS.names, "net:fer+")
    whole = Classifier(joined, threads=1)(FACES)
    assert one.predict(FACES) == pytest.approx(whole.heads["fer+"], abs=1e-5)
    assert open_model(joined).predict(FACES) == pytest.approx(whole.probabilities, abs=1e-5)


def test_a_head_that_is_not_there_is_named_with_those_that_are(joined: Path, plain: Path) -> None:
    with pytest.raises(ModelError, match=r"net, which has fer2013, fer\+, valence, action units; got 'rafdb'"):
        Predictor(joined, "none", labels="rafdb")
    with pytest.raises(ModelError, match="one answer only"):
        Predictor(plain, "none", labels="fer+")


def test_spec_keeps_its_heads_and_refuses_what_is_newer() -> None:
    spec = ModelSpec("m", ("a", "b"), heads=(Head("x", ("c",), "logits_x", "regression"),), answer={"weights": [1]})
    assert ModelSpec.from_json(spec.to_json(), "here") == spec
    with pytest.raises(ModelError, match="format 99"):
        ModelSpec.from_json(spec.to_json().replace('"format": 2', '"format": 99'), "here")
    with pytest.raises(ModelError, match="kind of head 'x'"):
        Head("x", ("c",), "logits_x", "guess")


def test_common_classes_give_way_by_a_part_of_their_share() -> None:
    labels, others = np.repeat([0, 1], [7, 1]), np.array([0, 0, 0, 1, 1, 1, -1, -1])
    shift = class_shift(labels, others, 2)
    assert shift.sum() == pytest.approx(0)
    assert shift[1] - shift[0] == pytest.approx(
        WEIGHT * BALANCE * np.log(8 / 2)
    )  # the others are as many of each: only labels count
    assert class_shift(labels, others, 2, balance=0).tolist() == [0, 0]
    mean = mean_of_heads(np.zeros((1, 2)), np.zeros((1, 2)), [0, 1], shift=shift)
    assert mean[0, 1] - mean[0, 0] == pytest.approx(shift[1] - shift[0])


def test_other_weights_are_tried_beside_the_one_that_is_taken() -> None:
    truth, n = RNG.integers(0, 7, 300), 300
    good = 2 * np.eye(7)[truth] + RNG.normal(0, 1, (n, 7))
    noise = RNG.normal(0, 1, (n, 8))
    rows = {(row["weight"], row["balance"]): row for row in tried(good, noise, COLUMNS, truth, truth)}
    assert len(rows) == 11 + 5
    assert rows[1.0, BALANCE]["agree"] > rows[WEIGHT, BALANCE]["agree"] > rows[0.0, BALANCE]["agree"] + 0.2
    assert rows[WEIGHT, BALANCE]["labels"] == rows[WEIGHT, BALANCE]["others"]
    found = calibrate_mean(good[None], noise[None], COLUMNS, truth, truth)
    assert found.n == 2 * n
    assert found.coverage == pytest.approx(0.9, abs=0.05)


def test_trying_says_what_is_missing() -> None:
    with pytest.raises(ConfigError, match="lacks b"):
        shared_classes(("a", "b"), ("a",))
    with pytest.raises(ConfigError, match="at least one face"):
        tried(np.zeros((30, 7)), np.zeros((30, 8)), COLUMNS, np.zeros(30, np.int64), np.full(30, -1))
