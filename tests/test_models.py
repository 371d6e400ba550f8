"""Every registered network: forward, gradients, determinism, fold, state round trip, ONNX parity."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from mien.checkpoint import load_model, save_model
from mien.engine import spread
from mien.errors import ModelError
from mien.export import export_onnx
from mien.models import create_model, fold, list_models, outputs, split_heads
from mien.models.layers import ConvNorm, RepConv2d, RepLinear
from mien.models.stn import bounded_theta, warp, warp_grid
from mien.recipe import list_recipes, load_recipe
from mien.spec import SPEC_KEY, ModelSpec

PLACES = ("input", "feature", "none")
FAMILY = ("mien-nano", "mien-small", "mien-base")
PARTS = [(name, place) for name in ("deep-emotion-2019", "mien-nano") for place in PLACES]
PARTS += [(name, "input") for name in FAMILY[1:]]


def make(name: str, **options: object) -> torch.nn.Module:
    torch.manual_seed(0)
    model = create_model(name, **options)
    for p in model.parameters():  # leave the identity start, so that transformer and attention do something
        if not p.any():
            torch.nn.init.normal_(p, std=0.1)
    return model


def faces(n: int = 4) -> torch.Tensor:
    return torch.randn(n, 1, 48, 48, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", list_models())
def test_forward_gives_logits(name: str) -> None:
    assert make(name).eval()(faces()).shape == (4, 7)
    assert make(name, num_classes=8, in_chans=3).eval()(torch.randn(2, 3, 48, 48)).shape == (2, 8)


@pytest.mark.parametrize("name", list_models())
def test_every_parameter_learns(name: str) -> None:
    model = make(name).train()
    torch.nn.functional.cross_entropy(model(faces(8)), torch.arange(8) % 7).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


@pytest.mark.parametrize("name", list_models())
def test_eval_is_deterministic_and_independent_of_the_batch(name: str) -> None:
    model, x = make(name).eval(), faces()
    torch.testing.assert_close(model(x), model(x), rtol=0, atol=0)
    torch.testing.assert_close(model(x)[:1], model(x[:1]), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("name", "place"), PARTS)
def test_fold_computes_the_same(name: str, place: str) -> None:
    model = make(name, transformer=place)
    model.train()
    for _ in range(5):
        model(faces(16))  # statistics that differ from the initial ones
    model.eval()
    folded = fold(model)
    assert not [m for m in folded.modules() if isinstance(m, RepConv2d | ConvNorm | RepLinear)]
    assert not [m for m in folded.modules() if isinstance(m, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d)]
    torch.testing.assert_close(folded(faces()), model(faces()), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", list_models())
def test_state_round_trip_is_exact(name: str, tmp_path: Path) -> None:
    model = fold(make(name))
    save_model(tmp_path / "m.safetensors", model, ModelSpec("x", tuple("abcdefg"), model={"name": name}))
    again, spec = load_model(tmp_path / "m.safetensors")
    assert spec.labels == tuple("abcdefg")
    torch.testing.assert_close(again(faces()), model(faces()), rtol=0, atol=0)


def test_weights_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    spec = ModelSpec("x", tuple("abcdefg"), model={"name": "deep-emotion-2019", "transformer": "none"})
    save_model(tmp_path / "m.safetensors", fold(make("deep-emotion-2019")), spec)
    with pytest.raises(ModelError, match="do not fit"):
        load_model(tmp_path / "m.safetensors")


@pytest.mark.parametrize(("name", "place"), PARTS)
def test_onnx_agrees_with_torch_at_any_batch_size(name: str, place: str, tmp_path: Path) -> None:
    model = make(name, transformer=place)
    spec = ModelSpec("x", tuple("abcdefg"), model={"name": name, "transformer": place})
    assert export_onnx(model, spec, tmp_path / "m.onnx") <= 1e-4
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    assert ModelSpec.from_json(session.get_modelmeta().custom_metadata_map[SPEC_KEY], "m.onnx") == replace(spec)
    expected = ["logits"] + ["theta"] * (place != "none") + ["attention"] * (name in FAMILY)
    assert [o.name for o in session.get_outputs()] == expected
    for n in (1, 3, 17):
        out = session.run(["logits"], {"faces": faces(n).numpy()})[0]
        np.testing.assert_allclose(out, fold(model)(faces(n)).detach().numpy(), atol=1e-4)


def test_export_refuses_a_difference(tmp_path: Path) -> None:
    spec = ModelSpec("x", tuple("abcdefg"), model={"name": "deep-emotion-2019"})
    with pytest.raises(ModelError, match="nothing was written"):
        export_onnx(make("deep-emotion-2019"), spec, tmp_path / "m.onnx", tolerance=-1.0)
    assert not (tmp_path / "m.onnx").exists()


def test_the_2019_network_is_the_paper_s() -> None:
    net = fold(make("deep-emotion-2019"))
    convs = [m for m in net.modules() if isinstance(m, torch.nn.Conv2d)]
    shapes = [(c.in_channels, c.out_channels, c.kernel_size[0]) for c in convs]
    assert shapes == [(1, 8, 7), (8, 10, 5), (1, 10, 3), (10, 10, 3), (10, 10, 3), (10, 10, 3)]
    linears = [(m.in_features, m.out_features) for m in net.modules() if isinstance(m, torch.nn.Linear)]
    assert linears == [(640, 32), (32, 6), (810, 50), (50, 7)]
    assert 60_000 <= sum(p.numel() for p in net.parameters()) <= 80_000
    assert any(isinstance(m, torch.nn.Dropout) for m in net.modules())


@pytest.mark.parametrize(("name", "place"), PARTS)
def test_attention_maps(name: str, place: str) -> None:
    torch.manual_seed(0)
    model = create_model(name, transformer=place).eval()
    maps = model.attention_maps(faces())
    assert maps["theta"].shape == (4, 2, 3)
    assert maps["grid"].shape == (4, 48, 48, 2)
    identity = torch.tensor([[1.0, 0, 0], [0, 1.0, 0]])
    torch.testing.assert_close(maps["theta"], identity.expand(4, 2, 3))  # the start is the identity
    alive = make(name, transformer=place).eval().attention_maps(faces())
    assert (spread(alive["theta"]) > 0) is (place != "none")
    assert ("attention" in alive) is (name in FAMILY)
    if name in FAMILY:
        assert alive["attention"].shape == (4, *([3, 3] if name == "mien-base" else [6, 6]))
        torch.testing.assert_close(alive["attention"].sum((1, 2)), torch.ones(4))
        assert float(alive["attention"].std(0).mean()) > 0  # it looks elsewhere on another face


@pytest.mark.parametrize(("name", "most"), [("mien-nano", 200_000), ("mien-small", 1_500_000), ("mien-base", 12e6)])
def test_sizes_of_the_family(name: str, most: float) -> None:
    assert sum(p.numel() for p in fold(make(name)).parameters()) <= most


@pytest.mark.parametrize("side", [32, 40, 48, 64])
def test_the_family_takes_other_sizes(side: int) -> None:
    x = torch.randn(2, 1, side, side)
    assert make("mien-nano").eval()(x).shape == (2, 7)
    with pytest.raises(ModelError, match="multiple of 8 pixels"):
        make("mien-nano").eval()(torch.randn(2, 1, side, side + 4))


@pytest.mark.parametrize("name", [n for n in list_recipes() if load_recipe(n).sizes])
def test_networks_take_the_sizes_of_their_recipes(name: str) -> None:
    recipe = load_recipe(name)
    model = make(recipe.model, **recipe.options).eval()
    for _, side in recipe.sizes:
        assert model(torch.randn(1, 1, int(side), int(side))).shape == (1, 7)


@pytest.mark.parametrize(
    "options", [{"channel": "se"}, {"channel": "none"}, {"pool": "mean"}, {"widths": [16, 32], "depths": [1, 1]}]
)
def test_options_of_the_family(options: dict[str, object]) -> None:
    model = make("mien-nano", **options).train()
    torch.nn.functional.cross_entropy(model(faces(8)), torch.arange(8) % 7).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())
    maps = model.eval().attention_maps(faces())
    assert ("attention" in maps) is ("pool" not in options)


@pytest.mark.parametrize(("name", "place"), PARTS)
def test_two_heads_become_two_networks(name: str, place: str) -> None:
    model, x = fold(make(name, second=8, transformer=place)), faces()
    both = outputs(model, x)
    first, other = split_heads(model)
    assert other is not None
    torch.testing.assert_close(first(x), both["logits"], rtol=0, atol=0)
    torch.testing.assert_close(other(x), both["second"], rtol=0, atol=0)
    assert "second" not in {*outputs(first, x), *outputs(other, x)}
    assert create_model(name, num_classes=8, transformer=place).state_dict().keys() >= {
        k for k in other.state_dict() if k.startswith("head")
    }
    assert split_heads(first)[1] is None


def test_theta_stays_in_its_bounds_and_identity_warps_to_itself() -> None:
    theta = bounded_theta(torch.full((1, 6), 100.0))[0]
    torch.testing.assert_close(theta, torch.tensor([[1.2, 0.34, 0.3], [0.34, 1.2, 0.3]]))
    x = faces()
    torch.testing.assert_close(warp(x, bounded_theta(torch.zeros(4, 6))), x, rtol=1e-5, atol=1e-5)


def test_the_grid_is_torch_s() -> None:
    theta = torch.randn(3, 2, 3, generator=torch.Generator().manual_seed(0))
    expected = torch.nn.functional.affine_grid(theta, [3, 1, 5, 7], align_corners=False)
    torch.testing.assert_close(warp_grid(theta, (5, 7)), expected)


def test_a_shift_of_theta_moves_the_picture() -> None:
    x = faces(1)
    theta = torch.tensor([[[1.0, 0, 2 * 3 / 48], [0, 1.0, 0]]])  # sample three pixels to the right
    torch.testing.assert_close(warp(x, theta)[..., :-3], x[..., 3:], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("options", "words"), [({"transformer": "maybe"}, "one of input"), ({"depth": 3}, "does not take")]
)
@pytest.mark.parametrize("name", ["deep-emotion-2019", "mien-nano"])
def test_wrong_options_are_named(name: str, options: dict[str, object], words: str) -> None:
    with pytest.raises(ModelError, match=words):
        create_model(name, **options)


@pytest.mark.parametrize(
    ("options", "words"),
    [({"channel": "cbam"}, "eca, se, none"), ({"pool": "max"}, "attention"), ({"widths": [16]}, "as many")],
)
def test_wrong_options_of_the_family_are_named(options: dict[str, object], words: str) -> None:
    with pytest.raises(ModelError, match=words):
        create_model("mien-nano", **options)


def test_unknown_model_lists_the_known() -> None:
    with pytest.raises(ModelError, match="deep-emotion-2019"):
        create_model("resnet-9000")
