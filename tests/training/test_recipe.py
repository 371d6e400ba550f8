"""Recipes: the shipped ones load, and every mistake is named with its file, key, value and rule."""

from __future__ import annotations

import contextlib
import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.errors import ConfigError
from mien.models import list_models
from mien.training.recipe import Recipe, list_recipes, load_recipe, read_recipe

GOOD = 'model = "deep-emotion-2019"\nepochs = 3\n[optimizer]\nname = "sgd"\nlr = 1\n'


def test_shipped_recipes_load_and_name_known_models() -> None:
    rivals = {"mollahosseini", "googlenet", "vgg", "deepexpr", "adversarial"}
    assert {"report", "deep-emotion-2019"} | rivals <= set(list_recipes())
    for name in list_recipes():
        recipe = load_recipe(name)
        assert recipe.name == name
        assert recipe.model in list_models()


def test_the_report_recipe_is_the_report_s() -> None:
    r = load_recipe("report")
    assert (r.optimizer.name, r.smoothing, r.ema) == ("adam", 0, 0)
    assert r.optimizer.weight_decay > 0
    assert not any(v for k, v in r.to_dict()["augment"].items() if k not in ("erase_low", "erase_high"))


def test_only_the_adversarial_recipe_hides_identity() -> None:
    hiding = [name for name in list_recipes() if load_recipe(name).adversary]
    assert hiding == ["adversarial"]
    assert load_recipe("googlenet").aux_weight == 0.3  # Szegedy et al. 2014, section 5


def test_sizes_by_epoch() -> None:
    r = read_recipe(GOOD.replace("epochs = 3", "epochs = 10\nsizes = [[0, 32], [0.4, 40], [0.7, 48]]"))
    assert [r.size_at(e, 48) for e in range(10)] == [32] * 4 + [40] * 3 + [48] * 3
    assert read_recipe(GOOD).size_at(2, 64) == 64


@pytest.mark.parametrize(
    "sizes", ["[[0.1, 32]]", "[[0, 32], [0, 48]]", "[[0, 8]]", "[[0, 32], [1.0, 48]]", "[1]", '[["a", 3]]']
)
def test_wrong_sizes_are_named(sizes: str) -> None:
    with pytest.raises(ConfigError, match="sizes must be pairs"):
        read_recipe(f"sizes = {sizes}\n{GOOD}")


def test_values_and_defaults(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(GOOD)
    r = load_recipe(str(file))
    assert (r.name, r.epochs, r.optimizer.lr, r.batch_size) == ("mine", 3, 1.0, 128)
    assert r.override(epochs=9, lr=0.5, l2=None, seed=None).optimizer.lr == 0.5
    assert r.override(epochs=9).epochs == 9
    long = replace(r, optimizer=replace(r.optimizer, warmup=2.0))
    assert [long.override(epochs=n).optimizer.warmup for n in (1, 2, 3)] == [1.0, 2.0, 2.0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("epochs = ", "not TOML"),
        (GOOD + "momentun = 1\n", r"unknown key 'optimizer.momentun'"),
        ('epochs = 3\nname = "x"\n', "model"),
        (GOOD.replace("3", '"three"'), "epochs must be of type int"),
        (GOOD.replace("3", "true"), "epochs must be of type int"),
        (GOOD.replace("3", "0"), r"epochs must lie in 1\.\.100000, got 0"),
        (GOOD.replace('"sgd"', '"lion"'), "optimizer.name must be one of adam, adamw, sgd, got 'lion'"),
        (GOOD + "[augment]\nerase = 2.0\n", r"augment.erase must lie in 0\.\.1, got 2"),
        (GOOD + "[augment]\nbrightness = 50\n", r"augment.brightness must lie in 0\.\.1, got 50"),
        (GOOD + "[augment]\nscale = 1\n", r"augment.scale must lie in 0\.\.0\.9, got 1"),
        (GOOD + "[augment]\nerase_low = 20\n", "erase_low must not exceed augment.erase_high, got 20 and 16"),
        (GOOD + "[augment]\nerase_high = 1.5\n", "augment.erase_high must be of type int, got 1.5"),
        (GOOD + "clip = -1\n", r"optimizer.clip must lie in 0\.\.1000000, got -1"),
        (GOOD + "warmup = 9\n", r"optimizer.warmup must lie in 0\.\.3 epochs, got 9"),
        ("seed = -1\n" + GOOD, r"seed must lie in 0\.\.9223372036854775807, got -1"),
        ("batch_size = 1\n" + GOOD, r"batch_size must lie in 2\.\.65536, got 1"),
        ("size = 8\n" + GOOD, r"size must lie in 16\.\.512, got 8"),
        ("deduplicate = 1\n" + GOOD, "deduplicate must be of type bool, got 1"),
        ("options = 3\n" + GOOD, "options must be of type"),
        (GOOD + "[degrade]\njpeg = 1\n", "degrade.jpeg must be at least 0 and below 1, got 1"),
        (GOOD + "[distill]\nviews = 11\n", r"distill.views must lie in 1\.\.10, got 11"),
        (GOOD + "l2 = 0.1\nweight_decay = 0.1\n", "optimizer.l2 is weight_decay now, and both are given"),
        ("aux_weight = 11\n" + GOOD, r"aux_weight must lie in 0\.\.10, got 11"),
        ("adversary = -1\n" + GOOD, r"adversary must lie in 0\.\.100, got -1"),
        ("optimizer = 3\n" + GOOD.split("[")[0], "optimizer must be a table"),
    ],
)
def test_mistakes_are_named(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        read_recipe(text, "my.toml")
    assert str(caught.value).startswith("my.toml: ")


def test_old_keys_work_and_say_what_they_are_called_now(caplog: pytest.LogCaptureFixture) -> None:
    text = "drop_copies = true\n" + GOOD + "l2 = 0.25\nslow = 0.5\n[distill]\ncopies = 3\n"
    r = read_recipe(text, "my.toml")
    assert (r.deduplicate, r.distill.augmented_views) == (True, 3)
    assert (r.optimizer.weight_decay, r.optimizer.transformer_lr_factor) == (0.25, 0.5)
    words = [record.message for record in caplog.records]
    assert words[0] == "my.toml: drop_copies is called deduplicate now; the old name goes with the next release"
    assert [w.split(" is called ")[1].split()[0] for w in words] == [
        *("deduplicate", "weight_decay", "transformer_lr_factor", "augmented_views")
    ]


def test_shipped_recipes_use_today_s_keys(caplog: pytest.LogCaptureFixture) -> None:
    for name in list_recipes():
        load_recipe(name)
    assert caplog.records == []


@pytest.mark.parametrize("name", list_recipes())
def test_a_recipe_survives_json(name: str) -> None:
    r = load_recipe(name)
    raw = r.to_dict()
    assert json.loads(json.dumps(raw)) == raw
    assert Recipe.from_dict(raw) == r
    assert ("distill" in raw) is (r.distill is not None)


def test_values_are_checked_in_python_too() -> None:
    r = read_recipe(GOOD)
    for change in ({"seed": -1}, {"epochs": 0}, {"lr": math.nan}, {"weight_decay": -1}, {"size": 4}):
        with pytest.raises(ConfigError, match=f"{next(iter(change))} must lie in"):
            r.override(**change)
    with pytest.raises(ConfigError, match="must be tables"):
        replace(r, optimizer={"lr": 1})  # type: ignore[arg-type]


def test_unknown_names_list_the_known() -> None:
    with pytest.raises(ConfigError, match="deep-emotion-2019, "):
        load_recipe("resnet")
    with pytest.raises(ConfigError, match="does not exist"):
        load_recipe("nowhere/my.toml")


@given(st.text(max_size=200))
def test_any_text_is_a_recipe_or_a_clear_error(text: str) -> None:
    with contextlib.suppress(ConfigError):
        assert isinstance(read_recipe(text), Recipe)


def test_nan_and_infinity_are_refused() -> None:
    for bad in ("nan", "inf", "-1.0"):
        with pytest.raises(ConfigError, match="lr must lie"):
            read_recipe(GOOD.replace("lr = 1", f"lr = {bad}"))


def test_a_moving_average_that_never_moves_is_refused() -> None:
    with pytest.raises(ConfigError, match="ema"):
        Recipe("x", "deep-emotion-2019", ema=1.0)
