"""Grad-CAM against the paper's own sum, on every registered network, and what it says to layers without maps."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mien.errors import ModelError
from mien.explain import gradcam, last_map
from mien.models import create_model, fuse, list_models

pytest.importorskip("captum")


def faces(n=2):
    return torch.randn(n, 1, 48, 48, generator=torch.Generator().manual_seed(0))


def net(name="mien-nano", seed=0):
    torch.manual_seed(seed)
    return fuse(create_model(name))


def by_hand(model, x, targets, layer):
    """Section 3: the channels' mean gradients weigh their activations; the sum is cut at 0."""
    kept = []  # a module may run more than once; its last run counts
    hook = dict(model.named_modules())[layer].register_forward_hook(lambda _m, _x, out: kept.append(out))
    logits = model(x).logits
    hook.remove()
    (grads,) = torch.autograd.grad(logits[torch.arange(len(x)), list(targets)].sum(), kept[-1])
    return torch.relu((grads.mean((2, 3), keepdim=True) * kept[-1]).sum(1)).detach().numpy()


@pytest.mark.parametrize("name", list_models())
def test_every_network_has_a_last_map_and_captum_agrees_with_the_paper_s_sum(name):
    model, x = net(name), faces()
    layer = last_map(model, x[:1])
    found = gradcam(model, x, [0, 3])
    assert found.ndim == 3
    assert len(found) == 2
    assert found.shape[1] * found.shape[2] > 1
    assert (found >= 0).all()
    np.testing.assert_allclose(found, by_hand(model, x, [0, 3], layer), rtol=1e-3, atol=1e-6)


def test_the_rule_takes_the_last_stage_not_the_attention_s_score():
    assert last_map(net(), faces(1)) == "stages.2"


def test_a_layer_can_be_named():
    model, x = net(), faces(1)
    assert gradcam(model, x, [1], "stages.0").shape == (1, 24, 24)
    np.testing.assert_allclose(gradcam(model, x, [1], "stem2"), by_hand(model, x, [1], "stem2"), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"layer": "nowhere"}, "nowhere.*stages.2"),
        ({"layer": "head"}, "gives no maps"),
        ({"targets": [0]}, "each of the 2"),
    ],
)
def test_wrong_arguments_are_named(given, words):
    with pytest.raises(ModelError, match=words):
        gradcam(net(), faces(), **{"targets": [0, 1], **given})


def test_a_network_without_maps_is_named():
    flat = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(48 * 48, 7))
    with pytest.raises(ModelError, match="no layer"):
        gradcam(flat, faces(1), [0])
