"""Recipes: the shipped ones load, and every mistake is named with its file, key, value and rule."""

from __future__ import annotations

import contextlib
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
    assert r.optimizer.l2 > 0
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
        ("aux_weight = 11\n" + GOOD, r"aux_weight must lie in 0\.\.10, got 11"),
        ("adversary = -1\n" + GOOD, r"adversary must lie in 0\.\.100, got -1"),
        ("optimizer = 3\n" + GOOD.split("[")[0], "optimizer must be a table"),
    ],
)
def test_mistakes_are_named(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        read_recipe(text, "my.toml")
    assert str(caught.value).startswith("my.toml: ")


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
