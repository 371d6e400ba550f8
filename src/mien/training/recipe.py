"""Recipes: everything that decides a training run, as frozen dataclasses read from TOML.

Unknown keys and values outside their rule are errors that name file, key, value and rule. Leaves out: data, device and
where results go; those belong to a run, not to a recipe.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from mien.errors import ConfigError, need

__all__ = ["Augment", "Distill", "Optimizer", "Recipe", "list_recipes", "load_recipe", "read_recipe"]

#: Recipes that come with mien.
FOLDER = Path(__file__).parent / "recipes"

T = TypeVar("T")


@dataclass(frozen=True)
class Augment:
    """Whole-batch augmentation, see ``transforms``; zero switches a part off.

    degrees, scale, shift, mirror: ``transforms.affine``; brightness, contrast: ``transforms.light``;
    erase: probability, erase_low..erase_high pixels; mixup: alpha of the Beta distribution
    """

    degrees: float = 0.0
    scale: float = 0.0
    shift: float = 0.0
    mirror: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    erase: float = 0.0
    erase_low: int = 8
    erase_high: int = 16
    mixup: float = 0.0


@dataclass(frozen=True)
class Optimizer:
    """name "adam" (with coupled L2, as the report), "adamw" (decoupled) or "sgd" (Nesterov, momentum 0.9).

    lr         peak learning rate
    l2         weight decay; not applied to biases, norms and scales
    slow       factor on the learning rate of the model's ``slow_parameters`` (the transformer)
    schedule   "constant", "cosine" (to zero) or "linear" (to zero), after ``warmup`` epochs of linear rise
    clip       largest gradient norm, 0 for none
    """

    name: str = "sgd"
    lr: float = 0.1
    l2: float = 0.0
    slow: float = 1.0
    schedule: str = "constant"
    warmup: float = 0.0
    clip: float = 0.0


@dataclass(frozen=True)
class Distill:
    """How a teacher is followed, where a run has one (Hinton et al. 2015, arXiv 1503.02531, section 2).

    weight       of the teacher's distributions in the loss, 0..1; the labels have the rest
    temperature  that softens both distributions
    views        test-time views whose mean is the teacher's answer, 1..10
    copies       augmented copies of each face that teachers answer about, one of which the network sees each time, so
                 that it is told of what it sees (Beyer et al. 2021, arXiv 2106.05237, section 3; answers that are kept:
                 Faghri et al. 2023, arXiv 2303.08983, section 3); 0: teachers answer about the face itself, whatever
                 the network sees of it
    """

    weight: float = 0.8
    temperature: float = 2.0
    views: int = 2
    copies: int = 0


@dataclass(frozen=True)
class Recipe:
    """One training run.

    model            name for ``create_model``; ``options`` are its keyword arguments
    smoothing        label smoothing, 0..1
    targets          "labels", or "votes" for the taggers' votes as soft targets
    class_weighting  0 none .. 1 inverse class frequency, as weights in the loss
    ema              decay of the weight average, 0 for none; the average is what is evaluated and kept
    drop_copies      leave exact copies within the training part out
    votes_weight     weight of the loss of a second head, which learns the taggers' votes beside the labels; 0 for none
    aux_weight       weight of the loss of each auxiliary classifier inside the network, where it has any
    adversary        weight of the loss by which a network hides who is on the picture from its adversary; 0 for none;
                     needs training faces with ``subject``
    sizes            progressive sizes: pairs of a share of the epochs and the side in pixels from there on, such as
                     [[0, 32], [0.4, 40], [0.7, 48]]; empty for the images' own size throughout
    """

    name: str
    model: str
    options: Mapping[str, Any] = field(default_factory=dict)
    epochs: int = 30
    batch_size: int = 128
    seed: int = 0
    smoothing: float = 0.0
    targets: str = "labels"
    class_weighting: float = 0.0
    ema: float = 0.0
    drop_copies: bool = False
    votes_weight: float = 0.0
    aux_weight: float = 0.3
    adversary: float = 0.0
    sizes: Sequence[Sequence[float]] = ()
    optimizer: Optimizer = field(default_factory=Optimizer)
    augment: Augment = field(default_factory=Augment)
    distill: Distill = field(default_factory=Distill)

    def __post_init__(self) -> None:
        a, o = self.augment, self.optimizer
        for key, value, choices in (
            ("optimizer.name", o.name, ("adam", "adamw", "sgd")),
            ("optimizer.schedule", o.schedule, ("constant", "cosine", "linear")),
            ("targets", self.targets, ("labels", "votes")),
        ):
            if value not in choices:
                raise ConfigError(f"{key} must be one of {', '.join(choices)}, got {value!r}")
        unit = (("smoothing", self.smoothing), ("class_weighting", self.class_weighting), ("ema", self.ema))
        for key, value in (*unit, *((f"augment.{k}", getattr(a, k)) for k in ("mirror", "erase", "contrast", "scale"))):
            _check(key, value, 0, 1)
        for key, number, low, high in (
            ("epochs", self.epochs, 1, 100_000),
            ("batch_size", self.batch_size, 2, 65_536),
            ("optimizer.lr", o.lr, 0, 100),
            ("optimizer.l2", o.l2, 0, 10),
            ("optimizer.slow", o.slow, 0, 100),
            ("optimizer.warmup", o.warmup, 0, self.epochs),
            ("augment.degrees", a.degrees, 0, 180),
            ("augment.shift", a.shift, 0, 24),
            ("augment.mixup", a.mixup, 0, 10),
            ("votes_weight", self.votes_weight, 0, 10),
            ("aux_weight", self.aux_weight, 0, 10),
            ("adversary", self.adversary, 0, 100),
            ("distill.weight", self.distill.weight, 0, 1),
            ("distill.temperature", self.distill.temperature, 0.1, 100),
            ("distill.views", self.distill.views, 1, 10),
            ("distill.copies", self.distill.copies, 0, 1000),
        ):
            _check(key, number, low, high)
        if self.distill.copies and a.mixup:
            raise ConfigError(f"distill.copies must be 0 with augment.mixup above 0, got {self.distill.copies}")
        self._check_sizes()

    def _check_sizes(self) -> None:
        rule = "sizes must be pairs of a share of the epochs, from 0 and rising, and a side of 16..512 pixels"
        try:
            starts = [float(start) for start, _ in self.sizes]
            sides = [int(side) for _, side in self.sizes]
        except (TypeError, ValueError) as error:
            raise ConfigError(f"{rule}; got {self.sizes!r}") from error
        rising = all(a < b for a, b in pairwise(starts))
        if starts and not (starts[0] == 0 and starts[-1] < 1 and rising and 16 <= min(sides) <= max(sides) <= 512):
            raise ConfigError(f"{rule}; got {self.sizes!r}")

    def size_at(self, epoch: int, own: int) -> int:
        """The side in pixels to train on in ``epoch``, from 0, for images of side ``own``."""
        begun = [int(side) for start, side in self.sizes if start * self.epochs <= epoch]
        return begun[-1] if begun else own

    def to_dict(self) -> dict[str, Any]:
        """Plain dicts and values, for JSON."""
        return asdict(self)

    def override(self, **values: Any) -> Recipe:
        """The recipe with values replaced, ``None`` meaning keep; ``lr`` and ``l2`` reach into the optimizer.

        Its warm-up is cut to ``epochs`` where these are fewer.
        """
        given = {k: v for k, v in values.items() if v is not None}
        inner: dict[str, Any] = {k: given.pop(k) for k in ("lr", "l2") if k in given}
        if 1 <= given.get("epochs", 0) < self.optimizer.warmup:
            inner["warmup"] = float(given["epochs"])
        return replace(self, optimizer=replace(self.optimizer, **inner), **given)


def _check(key: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ConfigError(f"{key} must lie in {low}..{high}, got {value}")


def list_recipes() -> list[str]:
    """Names of the recipes that come with mien."""
    return sorted(p.stem for p in FOLDER.glob("*.toml"))


def load_recipe(name: str) -> Recipe:
    """A recipe by name, or from a TOML file where ``name`` ends in ``.toml``."""
    path = Path(name) if name.endswith(".toml") else FOLDER / f"{name}.toml"
    if not path.is_file():
        if name.endswith(".toml"):
            raise ConfigError(f"recipe file {name} does not exist; give a path to a TOML file")
        raise ConfigError(f"recipe must be one of {', '.join(list_recipes())} or a path to a .toml file, got {name!r}")
    return read_recipe(path.read_text(encoding="utf-8"), str(path))


def read_recipe(text: str, where: str = "recipe") -> Recipe:
    """A recipe from TOML text; ``where`` names the file in errors. ``name`` defaults to the file's stem."""
    tomllib = need("tomllib" if sys.version_info >= (3, 11) else "tomli", "train")
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{where}: not TOML: {error}") from error
    try:
        return _build(Recipe, {"name": Path(where).stem, **raw}, "")
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error


def _build(cls: type[T], raw: Mapping[str, Any], prefix: str) -> T:
    """Make a dataclass from a mapping, checking keys and types by its annotations."""
    hints = get_type_hints(cls)
    known = [f.name for f in fields(cls)]  # type: ignore[arg-type]
    values = {}
    for key, value in raw.items():
        if key not in known:
            raise ConfigError(f"unknown key {prefix + key!r}; known are {', '.join(known)}")
        values[key] = _typed(value, hints[key], prefix + key)
    try:
        return cls(**values)
    except TypeError as error:
        raise ConfigError(f"a key is missing: {error}") from error


def _typed(value: Any, hint: Any, key: str) -> Any:
    if is_dataclass(hint):
        if not isinstance(value, Mapping):
            raise ConfigError(f"{key} must be a table, got {value!r}")
        return _build(hint, value, key + ".")  # type: ignore[arg-type]
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint in (int, float, str, bool) and type(value) is not hint:
        raise ConfigError(f"{key} must be of type {hint.__name__}, got {value!r}")
    return value
