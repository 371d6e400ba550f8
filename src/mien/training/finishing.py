"""From the network that the loop leaves to a calibrated, evaluated model, whose heads make one answer.

Leaves out: training it (``loop``), writing it (``run``).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from torch import nn

from mien.data import FaceDataset
from mien.data.duplicates import near_duplicates
from mien.errors import ConfigError
from mien.evaluation.calibrated import VIEWS, HeldOut, calibrated, held_out
from mien.evaluation.calibration import MIN_ROWS
from mien.evaluation.class_scaling import Scaling
from mien.evaluation.heads import BALANCE, joined, shared_classes
from mien.evaluation.metrics import Report
from mien.evaluation.model import Loaded
from mien.evaluation.scoring import scored
from mien.labels import FER2013, FERPLUS
from mien.models.heads import answering, classifier, head_layers, side_by_side, with_head
from mien.spec import Head, ModelSpec
from mien.training.loop import Epoch
from mien.training.preparation import Prepared
from mien.training.starting import Start
from mien.training.trained import TrainedModel

__all__ = ["check_new_head", "finished", "head_name", "recalibrated"]

_KNOWN = {FER2013.names: "fer2013", FERPLUS.names: "fer+"}


def head_name(labels: Sequence[str], otherwise: str) -> str:
    """What a head for these classes is called: ``fer2013``, ``fer+`` or ``otherwise``."""
    return _KNOWN.get(tuple(labels), otherwise)


def check_new_head(name: str, start: Start, ready: Prepared) -> None:
    """Raise :class:`ConfigError` where a head called ``name`` cannot stand beside those of ``start``."""
    heads = _heads(start.spec)
    old = [h.name for h in heads]
    if _output(name) in [h.output for h in heads] or not re.fullmatch(r"[A-Za-z0-9 ._+-]+", name):
        raise ConfigError(
            f"the new head's name must differ from {', '.join(old)} in letters or digits, and hold letters, digits, "
            f"spaces and . _ + - only, got {name!r}"
        )
    if ready.recipe.freeze != "trunk":
        raise ConfigError(
            f"a new head beside {', '.join(old)} needs a frozen trunk (--freeze trunk), got {ready.recipe.freeze!r}: "
            "the old heads would no longer fit"
        )
    if ready.recipe.votes_weight:
        raise ConfigError("a new head beside others learns one labelling: leave --target both out")


def finished(
    deployed: nn.Module,
    history: list[Epoch],
    ready: Prepared,
    spec: ModelSpec,
    fingerprint: str,
    *,
    start: Start | None = None,
    add_head: str | None = None,
) -> TrainedModel:
    """The heads that ``deployed`` learnt, each calibrated and evaluated on the validation part, and their answer.

    spec         without calibration and scores
    fingerprint  of the validation part as it was given
    add_head     name of the head that was learnt, beside which those of ``start`` are kept
    """
    deployed = deployed.cpu()
    clean = ~near_duplicates(ready.val.images, ready.train.images)
    known = np.ones(len(ready.val), bool) if ready.val.labels is None else ready.val.labels >= 0
    val, clean = ready.val.take(known), clean[known]
    own, other = classifier(deployed), getattr(deployed, "second", None)
    if other is not None and add_head is None:
        labels = (spec.labels, ready.train.second_names)
        whole, spec, report = _two_heads(deployed, (own, other), labels, spec, val, clean, fingerprint)
        return TrainedModel(answering(whole, spec), spec, history, report, whole=whole)
    first, report = _judged(Loaded(with_head(deployed, own), spec, ""), val, clean, fingerprint)
    if add_head is not None and start is not None:
        return _beside(deployed, first, report, history, start, add_head)
    return TrainedModel(first.forward, first.spec, history, report)  # type: ignore[arg-type]


def recalibrated(
    network: nn.Module, spec: ModelSpec, val: FaceDataset, clean: NDArray[np.bool_], fingerprint: str
) -> tuple[nn.Module, ModelSpec]:
    """A network of ``models.weights.load_network`` and its spec, calibrated anew as :func:`finished` does it.

    val    labelled faces that the network has not learnt; with the second labelling where it has two heads, which are
           then those of the first and of the second
    clean  bool ``(N,)``, True for a face of ``val`` without a near-duplicate in Training
    """
    known = np.ones(len(val), bool) if val.labels is None else val.labels >= 0
    val, clean = val.take(known), clean[known]
    if len(spec.heads) > 2 or (spec.heads and val.second is None):
        raise ConfigError(f"{spec.name}: only one head, or two with votes beside the labels, can be calibrated")
    bare = replace(spec, heads=(), answer={}, scores={}, calibration={}, temperature=1.0)
    if spec.heads:
        first, second = head_layers(network, spec).values()
        labels = (spec.heads[0].labels, spec.heads[1].labels)
        return _two_heads(network, (first, second), labels, bare, val, clean, fingerprint)[:2]
    model, _ = _judged(Loaded(network, bare, ""), val, clean, fingerprint)
    return model.forward, model.spec  # type: ignore[return-value]


def _two_heads(
    network: nn.Module,
    layers: tuple[nn.Linear, nn.Linear],
    labels: tuple[tuple[str, ...], tuple[str, ...]],
    spec: ModelSpec,
    val: FaceDataset,
    clean: NDArray[np.bool_],
    fingerprint: str,
) -> tuple[nn.Module, ModelSpec, Report]:
    """``network`` with both heads side by side, each calibrated on its labelling, the spec of their common answer, and
    the report of that, or of the first head where there is none.

    layers, labels  of the heads, which have not been calibrated
    """
    at, every = len(labels[0]), Loaded(with_head(network, side_by_side(layers)), spec, "")  # one trunk for both
    said = held_out(every, val.images[clean], max(VIEWS)) if clean.any() else None
    own = said and (said.each(lambda z: z[..., :at]), said.each(lambda z: z[..., at:]))
    (one, other), (heard, other_heard) = layers, own or (None, None)
    alone = Loaded(with_head(network, one), replace(spec, labels=labels[0]), "")
    first, report = _judged(alone, val, clean, fingerprint, heard)
    alone = Loaded(with_head(network, other), replace(spec, labels=labels[1]), "")
    second, _ = _judged(alone, _by_second(val), clean, fingerprint, other_heard, BALANCE)
    whole = with_head(network, side_by_side([classifier(m.forward) for m in (first, second)]))  # type: ignore[arg-type]
    names = head_name(first.labels, "labels"), head_name(second.labels, "votes")
    spec = replace(first.spec, heads=tuple(map(_head, names, (first.spec, second.spec))))
    if own and all(h.calibration for h in spec.heads) and {*first.labels} <= {*second.labels}:
        return whole, *_with_mean(whole, spec, (_after(own[0], first), _after(own[1], second)), val, clean, fingerprint)
    return whole, spec, report


def _after(said: HeldOut, model: Loaded) -> HeldOut:
    """What a network that said this says since it was calibrated, divided by its temperature."""
    scaling = Scaling(model.spec.calibration["scale"], model.spec.calibration["shift"])
    return said.each(lambda z: scaling(z) / model.spec.temperature)


def _judged(
    model: Loaded,
    faces: FaceDataset,
    clean: NDArray[np.bool_],
    fingerprint: str,
    said: HeldOut | None = None,
    balance: float = 0.0,
) -> tuple[Loaded, Report]:
    """``model`` calibrated on the labelled ones of ``faces`` and scored there, with the score in its spec.

    said  what it says of the clean ones of ``faces``; None asks it
    """
    labelled = np.ones(len(faces), bool) if faces.labels is None else faces.labels >= 0
    heard = said and said.each(lambda z: z[:, labelled[clean]])
    faces, clean = faces.take(labelled), clean[labelled]
    bare = replace(model, spec=replace(model.spec, scores={}))
    model = calibrated(bare, faces, clean=clean, said=heard, balance=balance)
    if model.spec.calibration:
        model.spec.calibration["fingerprint"] = fingerprint
    return model, _scored(model, faces, clean)


def _scored(model: Loaded, faces: FaceDataset, clean: NDArray[np.bool_]) -> Report:
    report = scored(model, faces, clean=clean).report
    model.spec.scores[report.split or "validation"] = report.to_dict()
    return report


def _with_mean(
    whole: nn.Module,
    spec: ModelSpec,
    said: tuple[HeldOut, HeldOut],
    val: FaceDataset,
    clean: NDArray[np.bool_],
    fingerprint: str,
) -> tuple[ModelSpec, Report]:
    """The spec and report of the mean of both heads, calibrated on both labellings of ``val``; the first head's where
    the labellings agree about too few faces to be two of one thing.
    """
    others = _majority(val, shared_classes(spec.labels, spec.heads[1].labels))
    assert val.labels is not None
    if (others == val.labels)[clean].sum() < MIN_ROWS:
        return spec, Report.from_dict(next(iter(spec.heads[0].scores.values())))
    spec = joined(spec, said, val.labels[clean], others[clean])
    spec.calibration.update(split="+".join(val.splits) or "validation", fingerprint=fingerprint, rows="clean")
    spec = replace(spec, scores={})
    return spec, _scored(Loaded(answering(whole, spec), spec, ""), val, clean)


def _beside(
    deployed: nn.Module, new: Loaded, report: Report, history: list[Epoch], start: Start, name: str
) -> TrainedModel:
    """The new head, which answers, and the old ones on the same trunk."""
    old = head_layers(start.network, start.spec) or {"": classifier(start.network)}
    own = classifier(new.forward)  # type: ignore[arg-type]
    whole = with_head(deployed, side_by_side([own, *old.values()]))
    spec = replace(new.spec, heads=(_head(name, new.spec), *_heads(start.spec)))
    return TrainedModel(answering(whole, spec), spec, history, report, whole=whole)


def _heads(spec: ModelSpec) -> tuple[Head, ...]:
    """The heads of a model; of one with a single answer, that one."""
    return spec.heads or (_head(head_name(spec.labels, "labels"), spec),)


def _head(name: str, spec: ModelSpec) -> Head:
    return Head(
        name, spec.labels, _output(name), temperature=spec.temperature, calibration=spec.calibration, scores=spec.scores
    )


def _output(name: str) -> str:
    """What the exported file calls a head's output."""
    return "logits_" + re.sub(r"\W", "_", name.replace("+", "plus"))


def _by_second(faces: FaceDataset) -> FaceDataset:
    """``faces`` labelled by the class with the largest share in the second labelling, -1 for a row without."""
    assert faces.second is not None
    labels = np.where(faces.second.any(1), faces.second.argmax(1), -1)
    return replace(faces, names=faces.second_names, labels=labels, votes=None, second=None, second_names=())


def _majority(faces: FaceDataset, columns: Sequence[int]) -> NDArray[np.int64]:
    """The class of the first labelling with more than half of the second one's votes; -1 for a face without."""
    assert faces.second is not None
    shares = faces.second[:, list(columns)]
    return np.where(shares.max(1) > faces.second.sum(1) / 2, shares.argmax(1), -1).astype(np.int64)
