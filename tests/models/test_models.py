"""Every registered network: forward, gradients, determinism, fold, state round trip, ONNX parity."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from mien.data.synthetic.generate import generate
from mien.errors import ModelError
from mien.export.onnx import export_onnx
from mien.models import Output, create_model, fuse, list_models, outputs, register, unfuse
from mien.models.heads import answering, with_head
from mien.models.layers import ConvNorm, Inception, RepConv2d, RepLinear, pool_to
from mien.models.stn import bounded_theta, warp, warp_grid
from mien.models.weights import load_model, save_model
from mien.spec import SPEC_KEY, Head, ModelSpec
from mien.training.preparation import make_network
from mien.training.recipe import list_recipes, load_recipe
from mien.training.trained import make_spec
from mien.training.validation import spread

PLACES = ("input", "feature", "none")
FAMILY = ("mien-nano", "mien-small", "mien-base")
PARTS = [(name, place) for name in ("deep-emotion-2019", "mien-nano") for place in PLACES]
PARTS += [(name, "input") for name in FAMILY[1:]]
RIVALS = ("mollahosseini", "googlenet", "vgg", "deepexpr", "adversarial")
# narrow ones of the networks that would make these tests slow
NARROW: dict[str, dict[str, object]] = {
    "googlenet": {"width": 0.25},
    "vgg": {"widths": (8, 16, 16, 16), "hidden": 64},
    "adversarial": {"widths": (8, 16), "identities": 5},
}
NETS = [(name, {"transformer": place}) for name, place in PARTS]
NETS += [(name, NARROW.get(name, {})) for name in RIVALS]


def make(name: str, **options: object) -> torch.nn.Module:
    torch.manual_seed(0)
    model = create_model(name, **options)
    for p in model.parameters():  # leave the identity start, so that transformer and attention do something
        if not p.any():
            torch.nn.init.normal_(p, std=0.1)
    return model


def faces(n: int = 4) -> torch.Tensor:
    return torch.randn(n, 1, 48, 48, generator=torch.Generator().manual_seed(1))


def given(out: Output) -> dict[str, tuple[torch.Tensor, ...]]:
    """What a network gave, by name."""
    fields = {k: v if isinstance(v, tuple) else (v,) for k, v in out._asdict().items()}
    return {k: v for k, v in fields.items() if v and v[0] is not None}


@pytest.mark.parametrize("name", list_models())
def test_forward_gives_logits(name: str) -> None:
    assert make(name).eval()(faces()).logits.shape == (4, 7)
    assert make(name, num_classes=8, in_chans=3).eval()(torch.randn(2, 3, 48, 48)).logits.shape == (2, 8)


@pytest.mark.parametrize("name", list_models())
def test_every_parameter_learns(name: str) -> None:
    model = make(name, **NARROW.get(name, {})).train()
    out = model(faces(8))
    heads = [v for v in (out.logits, out.second, out.identity, out.hidden, *out.auxiliary) if v is not None]
    sum(torch.nn.functional.cross_entropy(v, torch.arange(8) % v.shape[1]) for v in heads).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


@pytest.mark.parametrize("name", list_models())
def test_eval_is_deterministic_and_independent_of_the_batch(name: str) -> None:
    model, x = make(name).eval(), faces()
    torch.testing.assert_close(model(x).logits, model(x).logits, rtol=0, atol=0)
    torch.testing.assert_close(model(x).logits[:1], model(x[:1]).logits, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("name", "options"), NETS)
def test_fusing_computes_the_same(name: str, options: dict[str, object]) -> None:
    model = make(name, **options)
    model.train()
    for _ in range(5):
        model(faces(16))  # statistics that differ from the initial ones
    model.eval()
    fused = fuse(model)
    assert not [m for m in fused.modules() if isinstance(m, RepConv2d | ConvNorm | RepLinear)]
    assert not [m for m in fused.modules() if isinstance(m, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d)]
    torch.testing.assert_close(fused(faces()).logits, model(faces()).logits, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", list_models())
def test_state_round_trip_is_exact(name: str, tmp_path: Path) -> None:
    model = fuse(make(name))
    save_model(tmp_path / "m.safetensors", model, ModelSpec("x", tuple("abcdefg"), model={"name": name}))
    again, spec = load_model(tmp_path / "m.safetensors")
    assert spec.labels == tuple("abcdefg")
    torch.testing.assert_close(again(faces()).logits, model(faces()).logits, rtol=0, atol=0)


def test_weights_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    spec = ModelSpec("x", tuple("abcdefg"), model={"name": "deep-emotion-2019", "transformer": "none"})
    save_model(tmp_path / "m.safetensors", fuse(make("deep-emotion-2019")), spec)
    with pytest.raises(ModelError, match="do not fit"):
        load_model(tmp_path / "m.safetensors")


@pytest.mark.parametrize(("name", "options"), NETS)
def test_onnx_agrees_with_torch_at_any_batch_size(name: str, options: dict[str, object], tmp_path: Path) -> None:
    model = make(name, **options)
    spec = ModelSpec("x", tuple("abcdefg"), model={"name": name, **options})
    assert export_onnx(model, spec, tmp_path / "m.onnx") <= 1e-4
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    assert session.get_modelmeta().custom_metadata_map[SPEC_KEY] == spec.to_json()
    theta = options.get("transformer", "none") != "none"
    expected = ["logits"] + ["theta"] * theta + ["attention"] * (name in FAMILY)
    assert [o.name for o in session.get_outputs()] == expected
    for n in (1, 3, 17):
        out = session.run(["logits"], {"faces": faces(n).numpy()})[0]
        np.testing.assert_allclose(out, fuse(model)(faces(n)).logits.detach().numpy(), atol=1e-4)


def test_export_refuses_a_difference(tmp_path: Path) -> None:
    spec = ModelSpec("x", tuple("abcdefg"), model={"name": "deep-emotion-2019"})
    with pytest.raises(ModelError, match="nothing was written"):
        export_onnx(make("deep-emotion-2019"), spec, tmp_path / "m.onnx", tolerance=-1.0)
    assert not (tmp_path / "m.onnx").exists()


def convolutions(net: torch.nn.Module) -> list[tuple[int, int, int]]:
    """Channels in and out and the kernel's side."""
    convs = [m for m in net.modules() if isinstance(m, torch.nn.Conv2d)]
    return [(c.in_channels, c.out_channels, c.kernel_size[0]) for c in convs]


def linears(net: torch.nn.Module) -> list[tuple[int, int]]:
    return [(m.in_features, m.out_features) for m in net.modules() if isinstance(m, torch.nn.Linear)]


def test_the_2019_network_is_the_paper_s() -> None:
    net = fuse(make("deep-emotion-2019"))
    expected = [(1, 8, 7), (8, 10, 5), (1, 10, 3), (10, 10, 3), (10, 10, 3), (10, 10, 3)]
    assert convolutions(net) == expected
    assert linears(net) == [(640, 32), (32, 6), (810, 50), (50, 7)]
    assert 60_000 <= sum(p.numel() for p in net.parameters()) <= 80_000
    assert any(isinstance(m, torch.nn.Dropout) for m in net.modules())


def test_the_rivals_are_their_papers() -> None:
    nets = {name: fuse(make(name)) for name in RIVALS}
    widths = {n: [m.out_chans for m in net.modules() if isinstance(m, Inception)] for n, net in nets.items()}
    assert widths["mollahosseini"] == [256, 480, 512, 512]
    assert widths["googlenet"] == [256, 480, 512, 512, 512, 528, 832, 832, 1024]
    assert convolutions(nets["mollahosseini"])[:2] == [(1, 64, 7), (64, 192, 3)]
    assert linears(nets["mollahosseini"]) == [(512, 4096), (4096, 1024), (1024, 7)]
    assert convolutions(nets["googlenet"])[:3] == [(1, 64, 7), (64, 64, 1), (64, 192, 3)]
    assert linears(nets["googlenet"]) == [(1024, 7)]
    # the paper's 6.8 million (table 1) are 5.8 of convolutions, 1.0 of the thousand classes
    assert sum(p.numel() for p in nets["googlenet"].parameters()) == pytest.approx(5.97e6, rel=0.01)
    assert [c[1] for c in convolutions(nets["vgg"])] == [32] * 2 + [64] * 2 + [128] * 6
    assert linears(nets["vgg"]) == [(1152, 1024), (1024, 1024), (1024, 7)]
    assert len(convolutions(nets["deepexpr"])) == 3
    assert linears(nets["deepexpr"]) == [(6912, 512), (512, 7)]


def test_inception_is_its_four_branches_side_by_side() -> None:
    torch.manual_seed(0)
    module, x = fuse(Inception(12, (8, 6, 10, 4, 7, 5))).requires_grad_(False), torch.randn(2, 12, 6, 6)
    w, b = module.point.weight, module.point.bias
    reduced = [torch.nn.functional.conv2d(x, w[i:j], b[i:j]).relu() for i, j in ((0, 8), (8, 14), (14, 18))]
    pooled = torch.nn.functional.max_pool2d(x, 3, stride=1, padding=1)
    branches = (reduced[0], module.conv3(reduced[1]), module.conv5(reduced[2]), module.pooled(pooled))
    torch.testing.assert_close(module(x), torch.cat([y.relu() for y in branches], 1))
    assert module.out_chans == module(x).shape[1] == 30


@pytest.mark.parametrize("sides", [(6, 6), (8, 10), (2, 2), (9, 12), (24, 24)])
def test_pooling_to_a_size(sides: tuple[int, int]) -> None:
    x = torch.randn(2, 3, *sides)
    torch.testing.assert_close(pool_to(x, 3), torch.nn.functional.adaptive_max_pool2d(x, 3))


@pytest.mark.parametrize("name", RIVALS)
@pytest.mark.parametrize("side", [32, 40, 64])
def test_rivals_take_other_sizes(name: str, side: int) -> None:
    assert make(name, **NARROW.get(name, {})).eval()(torch.randn(2, 1, side, side)).logits.shape == (2, 7)


@pytest.mark.parametrize(
    ("name", "options", "more"),
    [
        ("googlenet", {}, {"auxiliary": [7, 7]}),
        ("adversarial", {"identities": 5}, {"identity": [5], "hidden": [5]}),
    ],
)
def test_what_serves_training_only_is_not_deployed(
    name: str, options: dict[str, object], more: dict[str, list[int]], tmp_path: Path
) -> None:
    model, x = make(name, **{**NARROW[name], **options}), faces()
    out = given(model.train()(x))
    assert {k: [v.shape[1] for v in values] for k, values in out.items()} == {"logits": [7], **more}
    assert set(given(model.eval()(x))) == {"logits"}
    fused = fuse(model)
    assert not [k for k in fused.state_dict() if k.startswith(("aux", "adversary"))]
    stored = {k: v for k, v in NARROW[name].items() if k not in options}
    save_model(tmp_path / "m.safetensors", fused, ModelSpec("x", tuple("abcdefg"), model={"name": name, **stored}))
    torch.testing.assert_close(
        load_model(tmp_path / "m.safetensors")[0](x).logits, model(x).logits, rtol=1e-4, atol=1e-4
    )
    assert set(given(fused.train()(x))) == {"logits"}


def test_the_encoder_and_its_adversary_learn_apart() -> None:
    model = make("adversarial", **NARROW["adversarial"]).train()

    def moved(key: str) -> set[str]:
        model.zero_grad(set_to_none=True)
        logits = getattr(model(faces(16)), key)
        torch.nn.functional.cross_entropy(logits, torch.full_like(logits, 1 / logits.shape[1])).backward()
        return {n for n, p in model.named_parameters() if p.grad is not None and p.grad.any()}

    everything = {n for n, _ in model.named_parameters()}
    adversary, head = ({n for n in everything if n.startswith(part)} for part in ("adversary.", "head."))
    assert moved("identity") == adversary
    assert moved("hidden") == everything - adversary - head
    assert moved("logits") == everything - adversary
    out = model(faces())
    torch.testing.assert_close(out.identity, out.hidden)  # the same guess, by two ways


def test_hiding_takes_the_clue_away_and_leaves_the_adversary_alone() -> None:
    model = make("adversarial", **NARROW["adversarial"]).train()
    torch.nn.init.normal_(model.adversary[-1].weight)  # one that is sure of itself
    before = {k: v.clone() for k, v in model.adversary.state_dict().items()}
    optimizer, x, losses = torch.optim.SGD(model.parameters(), lr=0.1), faces(16), []
    for _ in range(20):
        losses.append(-model(x).hidden.log_softmax(1).mean())
        optimizer.zero_grad()
        losses[-1].backward()
        optimizer.step()
    least = torch.tensor(5.0).log()  # of cross-entropy against equal shares
    assert least <= losses[-1] < least + 0.5 * (losses[0] - least)
    assert all(torch.equal(v, before[k]) for k, v in model.adversary.state_dict().items())


def test_features_are_what_the_head_sees() -> None:
    x = faces()
    vgg, adversarial = fuse(make("vgg")), fuse(make("adversarial"))
    assert vgg.features(x).shape == (4, 2048)
    torch.testing.assert_close(vgg.head(vgg.features(x)[:, 1024:]), vgg(x).logits)
    assert adversarial.features(x).shape == (4, 128)
    torch.testing.assert_close(adversarial.head(adversarial.features(x)), adversarial(x).logits)


def test_a_run_s_network_has_an_adversary_that_its_spec_does_not_know() -> None:
    train = generate(70, seed=0, identities=5)
    net, spec = (f(load_recipe("adversarial"), train) for f in (make_network, make_spec))
    assert net.train()(faces()).identity.shape == (4, 5)
    assert spec.model == {"name": "adversarial", **load_recipe("adversarial").options}
    plain = make_network(replace(load_recipe("adversarial"), adversary=0.0), train)
    assert set(given(plain.train()(faces()))) == {"logits"}


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
        side = 8 if name == "mien-base" and place == "input" else 6  # it looks at more places
        assert alive["attention"].shape == (4, side, side)
        torch.testing.assert_close(alive["attention"].sum((1, 2)), torch.ones(4))
        assert float(alive["attention"].std(0).mean()) > 0  # it looks elsewhere on another face


@pytest.mark.parametrize(("name", "most"), [("mien-nano", 200_000), ("mien-small", 1_500_000), ("mien-base", 12e6)])
def test_sizes_of_the_family(name: str, most: float) -> None:
    assert sum(p.numel() for p in fuse(make(name)).parameters()) <= most


@pytest.mark.parametrize("side", [32, 40, 48, 64])
def test_the_family_takes_other_sizes(side: int) -> None:
    x = torch.randn(2, 1, side, side)
    assert make("mien-nano").eval()(x).logits.shape == (2, 7)
    with pytest.raises(ModelError, match="multiple of 8 pixels"):
        make("mien-nano").eval()(torch.randn(2, 1, side, side + 4))


@pytest.mark.parametrize("name", [n for n in list_recipes() if load_recipe(n).sizes])
def test_networks_take_the_sizes_of_their_recipes(name: str) -> None:
    recipe = load_recipe(name)
    model = make(recipe.model, **recipe.options).eval()
    for _, side in recipe.sizes:
        assert model(torch.randn(1, 1, int(side), int(side))).logits.shape == (1, 7)


@pytest.mark.parametrize(
    "options", [{"channel": "se"}, {"channel": "none"}, {"pool": "mean"}, {"widths": [16, 32], "depths": [1, 1]}]
)
def test_options_of_the_family(options: dict[str, object]) -> None:
    model = make("mien-nano", **options).train()
    torch.nn.functional.cross_entropy(model(faces(8)).logits, torch.arange(8) % 7).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())
    maps = model.eval().attention_maps(faces())
    assert ("attention" in maps) is ("pool" not in options)


def test_a_transformer_samples_more_places_than_the_image_has_pixels() -> None:
    near, far = (make("mien-nano", transformer="input", widths=[16, 32], depths=[1, 1], zoom=z) for z in (1.0, 1.5))
    far.load_state_dict(near.state_dict())  # the zoom has no weights
    x = faces()
    assert near.eval().forward_features(x).shape == (4, 32, 12, 12)
    assert far.eval().forward_features(x).shape == (4, 32, 18, 18)
    theta = near.theta(x)
    torch.testing.assert_close(warp(x, theta, (48, 48)), warp(x, theta), rtol=0, atol=0)
    # every second place of twice as many lies half a place beside those of one
    ramp = torch.arange(48.0).expand(4, 1, 48, 48)
    identity = torch.eye(2, 3).expand(4, 2, 3)
    torch.testing.assert_close(warp(ramp, identity, (96, 96))[0, 0, 0, 1:-1], (torch.arange(1, 95) - 0.5) / 2)
    with pytest.raises(ModelError, match=r"multiple of 4 pixels after a zoom of 1\.5, got \(44, 44\)"):
        far(torch.randn(1, 1, 44, 44))


@pytest.mark.parametrize(("place", "zoom"), [("none", 2.0), ("feature", 0.5), ("input", 0.0)])
def test_a_zoom_needs_a_transformer_on_the_input(place: str, zoom: float) -> None:
    with pytest.raises(ModelError, match="zoom must be above 0, and 1 without a transformer on the input"):
        create_model("mien-nano", transformer=place, zoom=zoom)


@pytest.mark.parametrize(("name", "place"), PARTS)
def test_two_heads_become_two_networks_of_one_head(name: str, place: str) -> None:
    model, x = fuse(make(name, second=8, transformer=place)), faces()
    both = model(x)
    first, other = with_head(model, model.head), with_head(model, model.second)
    torch.testing.assert_close(first(x).logits, both.logits, rtol=0, atol=0)
    torch.testing.assert_close(other(x).logits, both.second, rtol=0, atol=0)
    assert (first(x).second, other(x).second, other.num_classes) == (None, None, 8)
    assert first.state_dict().keys() == other.state_dict().keys()


@pytest.mark.parametrize(("name", "place"), PARTS)
def test_unfuse_gives_back_what_fuse_folded(name: str, place: str) -> None:
    taught = make(name, transformer=place).train()
    x = faces(64)
    with torch.no_grad():
        taught(x)  # statistics of its own
    deployed = fuse(taught)
    fresh = make(name, transformer=place, num_classes=3)
    head = fresh.head.weight.clone()
    unfuse(fresh, deployed, torch.split(x, 16), but=["head"])
    torch.testing.assert_close(fresh.head.weight, head, rtol=0, atol=0)
    fresh.head = deployed.head
    torch.testing.assert_close(fuse(fresh)(x).logits, deployed(x).logits, rtol=1e-4, atol=1e-4)
    for module in fresh.modules():  # the statistics are those of these very faces, so that a step sees the same
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    with torch.no_grad():
        torch.testing.assert_close(fresh.train()(x).logits, deployed(x).logits, rtol=1e-2, atol=1e-2)


def test_heads_side_by_side_answer_alone_and_together() -> None:
    network, x = fuse(make("mien-nano", num_classes=5)), faces()
    heads = (Head("p", ("a", "b"), "x", temperature=2.0), Head("q", ("b", "c", "a"), "y"))
    spec = ModelSpec(
        "m", ("a", "b"), heads=heads, answer={"heads": ["p", "q"], "weights": [0.3, 0.7], "shift": [0.5, 0]}
    )
    z = network(x).logits
    p, q = (z[:, :2] / 2).log_softmax(1), z[:, 2:].log_softmax(1)
    torch.testing.assert_close(answering(network, spec, "q")(x).logits, z[:, 2:], rtol=1e-5, atol=1e-5)
    expected = (0.3 * p + 0.7 * q[:, [2, 0]] + torch.tensor([0.5, 0])).softmax(1)
    torch.testing.assert_close(answering(network, spec)(x).logits.softmax(1), expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(answering(network, replace(spec, answer={}))(x).logits, z[:, :2], rtol=1e-5, atol=1e-5)
    plain = torch.nn.Sequential(torch.nn.Flatten())
    with pytest.raises(ModelError, match="no linear layer called head"):
        answering(plain, spec)


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


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("googlenet", {"width": 0.1}, r"width must lie in 0\.125\.\.2, got 0\.1"),
        ("vgg", {"widths": (8, 8)}, "as many whole numbers"),
        ("deepexpr", {"widths": (8, 8)}, "three whole numbers"),
        ("adversarial", {"widths": ()}, "widths must be"),
        ("adversarial", {"identities": -1}, "identities must be"),
        ("mollahosseini", {"identities": 3}, "does not take"),
    ],
)
def test_wrong_options_of_the_rivals_are_named(name: str, options: dict[str, object], words: str) -> None:
    with pytest.raises(ModelError, match=words):
        create_model(name, **options)


def test_unknown_model_lists_the_known() -> None:
    with pytest.raises(ModelError, match="deep-emotion-2019"):
        create_model("resnet-9000")


def test_a_name_is_registered_once() -> None:
    with pytest.raises(ModelError, match=r"registered already, as .*; choose another name"):
        register("mien-nano")(torch.nn.Identity)
    assert create_model("mien-nano").num_classes == 7


def test_plain_logits_of_anybody_become_a_record() -> None:
    out = outputs(lambda x: x.mean((2, 3)), faces())
    assert out.logits.shape == (4, 1)
    assert set(given(out)) == {"logits"}


def test_the_family_has_timm_s_handles() -> None:
    net, x = make("mien-nano", second=3).eval(), faces()
    features = net.forward_features(x)
    assert features.shape == (4, net.num_features, 6, 6)
    torch.testing.assert_close(net.forward_head(features), net(x).logits)
    assert net.forward_head(features, pre_logits=True).shape == (4, net.num_features)
    assert net.get_classifier() is net.head
    net.reset_classifier(5)
    assert (net.num_classes, net(x).logits.shape, net(x).second.shape) == (5, (4, 5), (4, 3))
    net.reset_classifier(0)
    torch.testing.assert_close(net(x).logits, net.forward_head(features, pre_logits=True))
    with pytest.raises(ModelError, match="num_classes"):
        net.reset_classifier(-1)


PARALLEL = """
import sys
import torch
import torch.distributed as dist
from mien.models import create_model
rank, file = int(sys.argv[1]), sys.argv[2]
torch.set_num_threads(1)
dist.init_process_group("gloo", init_method="file://" + file, rank=rank, world_size=2)
torch.manual_seed(0)
net = create_model("mien-nano", widths=[8], depths=[1], second=3)
net = torch.nn.parallel.DistributedDataParallel(net)  # fails where a parameter's gradient never comes
for step in range(2):
    out = net(torch.randn(4, 1, 32, 32, generator=torch.Generator().manual_seed(10 * step + rank)))
    (out.logits.square().mean() + out.second.square().mean()).backward()
print(float(sum(p.grad.double().abs().sum() for p in net.parameters())))
"""


@pytest.mark.slow
def test_two_processes_learn_together_from_all_of_forward(tmp_path: Path) -> None:
    words = [[sys.executable, "-c", PARALLEL, str(rank), str(tmp_path / "meet")] for rank in (0, 1)]
    started = [subprocess.Popen(w, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for w in words]
    ended = [p.communicate(timeout=120) for p in started]
    assert [p.returncode for p in started] == [0, 0], ended
    first, second = (float(out) for out, _ in ended)
    assert first == second > 0


@pytest.mark.parametrize(("name", "options"), [("mien-nano", {"second": 3}), ("googlenet", {"width": 0.125})])
def test_the_compiler_sees_all_of_forward(name: str, options: dict[str, object]) -> None:
    net, x = make(name, **options).train(), faces(8)
    compiled = torch.compile(net, backend="eager", fullgraph=True)
    torch.manual_seed(1)
    found = given(compiled(x))
    torch.manual_seed(1)
    again = given(net(x))
    assert found.keys() == again.keys() >= {"logits", "second" if "second" in options else "auxiliary"}
    for key, tensors in found.items():
        torch.testing.assert_close(tensors, again[key])
