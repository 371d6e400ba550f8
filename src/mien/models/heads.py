"""Several heads on one trunk: their layers side by side as one, and networks that answer with one of them or the mean.

A file with several heads keeps them as one linear layer, whose rows belong to ``ModelSpec.heads`` in their order. The
mean of heads that is the default answer is linear in what the heads see, up to a constant for each face, which softmax
takes away: it is one more linear layer. Leaves out: choosing its weights (``mien.evaluation.heads``).
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import torch
from torch import nn

from mien.errors import ModelError
from mien.spec import ModelSpec

__all__ = ["answering", "classifier", "head_layers", "scaled", "side_by_side", "with_head"]


def classifier(network: nn.Module) -> nn.Linear:
    """The linear layer ``network.head``; ModelError where there is none."""
    head = getattr(network, "head", None)
    if not isinstance(head, nn.Linear):
        raise ModelError(f"{type(network).__name__} has no linear layer called head, on which other heads could be put")
    return head


def scaled(layer: nn.Linear, scale: Sequence[float], shift: Sequence[float]) -> nn.Linear:
    """A layer whose outputs are those of ``layer``, each times its ``scale`` plus its ``shift``."""
    factor, more = (torch.tensor(v, dtype=layer.weight.dtype, device=layer.weight.device) for v in (scale, shift))
    return _linear(layer.weight * factor[:, None], layer.bias * factor + more)


def side_by_side(layers: Sequence[nn.Linear]) -> nn.Linear:
    """One layer that gives the outputs of all ``layers``, one after the other."""
    return _linear(torch.cat([x.weight for x in layers]), torch.cat([x.bias for x in layers]))


def head_layers(network: nn.Module, spec: ModelSpec) -> dict[str, nn.Linear]:
    """Head name -> its layer alone, of a network whose head has the rows of all of ``spec.heads``; none for none."""
    if not spec.heads:
        return {}
    whole = classifier(network)
    parts = [len(h.labels) for h in spec.heads]
    weights, biases = torch.split(whole.weight, parts), torch.split(whole.bias, parts)
    return {h.name: _linear(w, b) for h, w, b in zip(spec.heads, weights, biases, strict=True)}


def with_head(network: nn.Module, layer: nn.Linear) -> nn.Module:
    """A copy of ``network`` with ``layer`` as its only head."""
    made = copy.deepcopy(network)
    made.head, made.num_classes = layer, layer.out_features  # type: ignore[assignment]
    if hasattr(made, "second"):
        made.second = None  # type: ignore[assignment]
    return made


def answering(network: nn.Module, spec: ModelSpec, head: str | None = None) -> nn.Module:
    """``network``, whose head has the rows of all of ``spec.heads``, as one that gives the logits of one answer.

    head  name of a head; None for the default answer, ``spec.answer``, or else the first head. Its logits are still to
          be divided by the temperature of ``spec``, or of that head.
    """
    if not spec.heads:
        return network
    layers = head_layers(network, spec)
    return with_head(network, _answer(layers, spec) if head is None else layers[spec.head(head).name])


def _answer(layers: Mapping[str, nn.Linear], spec: ModelSpec) -> nn.Linear:
    """The default answer: the sum of the heads' log probabilities, each at its temperature and with its weight, and of
    each class's shift.
    """
    if not spec.answer:
        return layers[spec.heads[0].name]
    weight, bias = torch.zeros(()), layers[spec.heads[0].name].bias.new_tensor(spec.answer.get("shift", 0.0))
    for name, share in zip(spec.answer["heads"], spec.answer["weights"], strict=True):
        h, layer = spec.head(name), layers[name]
        rows, share = [h.labels.index(label) for label in spec.labels], share / h.temperature
        weight, bias = weight + share * layer.weight[rows], bias + share * layer.bias[rows]
    return _linear(weight, bias)


@torch.no_grad()
def _linear(weight: torch.Tensor, bias: torch.Tensor) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0]).to(weight.device)
    layer.weight.copy_(weight)
    layer.bias.copy_(bias)
    return layer
