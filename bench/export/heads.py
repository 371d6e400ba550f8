"""One shipped file from a network with two heads: ``python -m bench.export.heads NAME --data CSV --votes CSV``.

Takes src/mien/weights/NAME.onnx (the head for FER2013's labels) and gives it a head for FER+'s votes, which is fitted
here on the trunk as it is, by the taggers' shares of Training's faces, four views of each. Calibrates both on
PublicTest's faces without a near-duplicate in Training, chooses the weight of their mean on PublicTest's labels and
votes together, evaluates every answer of the very file that it leaves, writes
results/NAME.json ("shipped") and the card.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper

from bench.conditions import RESULTS
from bench.export.publish import WEIGHTS, card, write
from mien.data import FaceDataset, read_faces, read_votes, train_val, with_votes
from mien.data.duplicates import near_duplicates
from mien.evaluation.calibrated import calibrated
from mien.evaluation.heads import joined, mean_of_heads, shared_classes
from mien.evaluation.model import Loaded, open_model
from mien.evaluation.scoring import measure_robustness, scored
from mien.export.heads import add_linear_head, join_heads, read_linear_head
from mien.export.onnx import embed_spec
from mien.files import replace_file
from mien.labels import FER2013, FERPLUS
from mien.models.inference import view_logits
from mien.runtime.session import load_onnxruntime
from mien.spec import SPEC_KEY, Head, ModelSpec

FIRST, SECOND = "fer2013", "fer+"
OUTPUTS = {FIRST: "logits_fer2013", SECOND: "logits_ferplus"}
SHOWN = (1, 10)  # views of the scores
_FITTED_VIEWS, _DECAY = 4, 1e-3


def features_of(proto: Any, name: str, spec: ModelSpec, images: NDArray[np.uint8], views: int) -> NDArray[np.float64]:
    """What the head sees of faces, ``(views, N, D)``."""
    inner = onnx.ModelProto()
    inner.CopyFrom(proto)
    inner.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    session = load_onnxruntime().InferenceSession(inner.SerializeToString(), providers=["CPUExecutionProvider"])
    forward = lambda x: torch.from_numpy(session.run([name], {"faces": x.numpy()})[0])  # noqa: E731
    return view_logits(forward, images, mean=spec.mean, std=spec.std, views=views)


def fitted_head(
    features: NDArray[np.float64], shares: NDArray[np.floating[Any]]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A linear layer by cross-entropy with ``shares`` ``(N, K)``, on every view of features ``(V, N, D)``."""
    x = torch.from_numpy(features.reshape(-1, features.shape[-1]))
    target = torch.from_numpy(shares).double().repeat(len(features), 1)
    middle, width = x.mean(0), x.std(0) + 1e-6
    x = (x - middle) / width
    layer = torch.nn.Linear(x.shape[1], target.shape[1]).double()
    for p in layer.parameters():
        torch.nn.init.zeros_(p)
    optimizer = torch.optim.LBFGS(layer.parameters(), max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> float:
        optimizer.zero_grad()
        value = -(target * torch.log_softmax(layer(x), 1)).sum(1).mean() + _DECAY * (layer.weight**2).sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value.item()

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    weight = (layer.weight / width).detach()
    return weight.float().numpy(), (layer.bias.detach() - weight @ middle).float().numpy()


def opened(proto: Any, output: str, spec: ModelSpec) -> Loaded:
    """One output of a model in memory."""
    session = load_onnxruntime().InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    return Loaded(lambda x: torch.from_numpy(session.run([output], {"faces": x.numpy()})[0]), spec, "")


def in_seven(faces: FaceDataset) -> FaceDataset:
    """Faces labelled with FER+'s classes, in FER2013's seven; contempt is left out."""
    assert faces.labels is not None
    table = np.array([FER2013.names.index(n) if n in FER2013.names else -1 for n in FERPLUS.names])
    labels = np.where(faces.labels >= 0, table[faces.labels], -1)
    kept = labels >= 0
    return replace(faces.take(kept), names=FER2013.names, labels=labels[kept].astype(np.int64), votes=None)


def join(name: str, data: str, votes: str) -> None:
    file = WEIGHTS / f"{name}.onnx"
    proto, faces, table = onnx.load(str(file)), read_faces(data), read_votes(votes)
    spec = ModelSpec.from_json({p.key: p.value for p in proto.metadata_props}[SPEC_KEY], str(file))
    if spec.heads:
        raise SystemExit(f"{file}: has its heads already")
    train, val = train_val(faces)
    soft, _ = train_val(with_votes(faces, table, "soft"))
    _, argmax = train_val(with_votes(faces, table, "argmax"))
    _, majority = train_val(with_votes(faces, table, "majority"))
    clean = ~near_duplicates(val.images, train.images)

    _, _, features = read_linear_head(proto)
    assert soft.votes is not None
    rows, bias = fitted_head(features_of(proto, features, spec, soft.array, _FITTED_VIEWS), soft.votes)
    how = f"fitted on the finished trunk by the taggers' shares, {_FITTED_VIEWS} views of each face of Training"
    add_linear_head(proto, OUTPUTS[SECOND], features, rows, bias)

    # calibrate each head on its own labelling, then their mean on both
    known = _rows_of(argmax, val)
    first = calibrated(opened(proto, "logits", replace(spec, temperature=1.0)), val, clean=clean)
    second_spec = replace(spec, labels=FERPLUS.names, temperature=1.0)
    second = calibrated(opened(proto, OUTPUTS[SECOND], second_spec), val, labels=known, clean=clean)
    columns, clear = shared_classes(FER2013.names, FERPLUS.names), _rows_of(in_seven(majority), val)
    heads = tuple(
        Head(h, m.spec.labels, OUTPUTS[h], calibration=m.spec.calibration)
        for h, m in ((FIRST, first), (SECOND, second))
    )
    assert val.labels is not None
    whole = joined(replace(spec, heads=heads), (first, second), val.images[clean], val.labels[clean], clear[clean])
    weight = whole.answer["weights"][0]
    print(
        f"{name}: weight {weight}, temperatures {first.spec.temperature:.3f}, {second.spec.temperature:.3f}, "
        f"{whole.temperature:.3f}; {how}"
    )
    z1, z2 = (
        view_logits(m.forward, val.images[clean], mean=spec.mean, std=spec.std)[0] / m.spec.temperature
        for m in (first, second)
    )
    answer = mean_of_heads(z1, z2, columns, weight) / whole.temperature
    for output, model in (("logits", first), (OUTPUTS[SECOND], second)):
        _fold(proto, output, model.spec)
    join_heads(proto, OUTPUTS[FIRST], OUTPUTS[SECOND], columns, weight=weight, temperature=whole.temperature)
    onnx.checker.check_model(proto)
    told = {"split": "PublicTest, labels and FER+ majority", "fingerprint": val.fingerprint, "rows": "clean"}
    whole = replace(whole, temperature=1.0, scores={}, calibration={**whole.calibration, **told})
    embed_spec(proto, whole)
    _check(proto, val.images[clean], answer, spec)
    replace_file(file, lambda p: p.write_bytes(proto.SerializeToString()))
    publish(name, data, votes, how)


def _rows_of(part: FaceDataset, whole: FaceDataset) -> NDArray[np.int64]:
    """For each row of ``whole`` its label in ``part``, which has some of these rows; -1 where it has none."""
    assert part.rows is not None
    assert whole.rows is not None
    assert part.labels is not None
    place = {int(row): int(label) for row, label in zip(part.rows, part.labels, strict=True)}
    return np.array([place.get(int(row), -1) for row in whole.rows], np.int64)


def _fold(proto: Any, output: str, spec: ModelSpec) -> None:
    """Fold scale, shift and temperature into the linear layer that makes ``output``."""
    (node,) = [n for n in proto.graph.node if output in n.output]
    scale, shift = (np.asarray(spec.calibration[key], np.float32) for key in ("scale", "shift"))
    turned = any(a.name == "transB" and a.i == 1 for a in node.attribute)
    for item in proto.graph.initializer:
        if item.name in node.input and len(scale):
            value = numpy_helper.to_array(item)
            value = value * scale + shift if value.ndim == 1 else value * (scale[:, None] if turned else scale)
            item.CopyFrom(numpy_helper.from_array(value, item.name))
        if item.name in node.input:
            value = numpy_helper.to_array(item) / np.float32(spec.temperature)
            item.CopyFrom(numpy_helper.from_array(value.astype(np.float32), item.name))


def _check(proto: Any, faces: NDArray[np.uint8], expected: NDArray[np.float64], spec: ModelSpec) -> None:
    """The graph says what the arithmetic says."""
    got = view_logits(opened(proto, "logits", spec).forward, faces, mean=spec.mean, std=spec.std)[0]
    worst = float(np.abs(got - expected).max())
    if not worst <= 1e-4:
        raise SystemExit(f"the joined graph and the arithmetic differ by {worst:.2g}; nothing was written")


def publish(name: str, data: str, votes: str | None, how: str) -> None:
    """Evaluate every answer of a shipped file with two heads, write scores into it, its record and its card.

    how  the second head was made
    """
    if votes is None:
        raise SystemExit("--votes is needed to evaluate FER+'s head")
    file = WEIGHTS / f"{name}.onnx"
    spec, faces, table = open_model(file).spec, read_faces(data), read_votes(votes)
    train, val = train_val(faces)
    majority, argmax = (train_val(with_votes(faces, table, kind))[1] for kind in ("majority", "argmax"))
    clean = ~near_duplicates(val.images, train.images)

    def scores(model: str, part: FaceDataset, split: str) -> dict[str, Any]:
        kept = np.isin(np.asarray(val.rows), np.asarray(part.rows))
        out = {}
        for views in SHOWN:
            report = scored(open_model(f"{file}{model}"), part, clean=clean[kept], views=views).report.to_dict()
            out[split if views == 1 else f"{split}, {views} views"] = report
        return out

    both = {**scores("", val, "PublicTest"), **scores("", in_seven(majority), "PublicTest (FER+ majority)")}
    heads = (
        scores(f":{FIRST}", val, "PublicTest"),
        {
            **scores(f":{SECOND}", majority, "PublicTest (majority)"),
            **scores(f":{SECOND}", argmax, "PublicTest (argmax)"),
        },
    )
    spec = replace(spec, scores=both, heads=tuple(replace(h, scores=s) for h, s in zip(spec.heads, heads, strict=True)))
    proto = onnx.load(str(file))
    embed_spec(proto, spec)
    replace_file(file, lambda p: p.write_bytes(proto.SerializeToString()))
    record = json.loads((RESULTS / f"{name}.json").read_text())
    record["shipped"] = {
        **record["shipped"],
        "bytes": file.stat().st_size,
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "second head": how,
        "answer": spec.answer,
        "reports": both,
        "heads": {h.name: h.scores for h in spec.heads},
        "robustness": measure_robustness(open_model(file), val).to_dict(),
        "robustness of heads": {
            head: measure_robustness(open_model(f"{file}:{head}"), part).to_dict()
            for head, part in ((FIRST, val), (SECOND, majority))
        },
    }
    write(record)
    card(name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="mien-small or mien-nano")
    parser.add_argument("--data", required=True)
    parser.add_argument("--votes", required=True)
    given = parser.parse_args()
    join(given.name, given.data, given.votes)


if __name__ == "__main__":
    main()
