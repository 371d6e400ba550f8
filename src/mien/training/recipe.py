"""Recipes: everything that decides a training run, as frozen dataclasses read from TOML.

Each value stands beside its rule (``Annotated``), which msgspec checks whenever a recipe is made: from a file, in
Python, or changed by ``replace``. Unknown keys and values outside their rule are errors that name file, key, value and
rule. Leaves out: data, device and where results go; those belong to a run, not to a recipe.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar, get_type_hints

import msgspec
from msgspec import Meta
from msgspec.inspect import FloatType, IntType, LiteralType, type_info

from mien.errors import ConfigError, need

__all__ = ["Augment", "Degrade", "Distill", "Optimizer", "Recipe", "list_recipes", "load_recipe", "read_recipe"]

#: Recipes that come with mien.
FOLDER = Path(__file__).parent / "recipes"

#: Keys that had another name; they work until the next release. New keys must not take an old name.
_RENAMED = {
    "drop_copies": "deduplicate",
    "optimizer.l2": "optimizer.weight_decay",
    "optimizer.slow": "optimizer.transformer_lr_factor",
    "distill.copies": "distill.augmented_views",
}
_SIZES = "must be pairs of a share of the epochs, from 0 and rising, and a side of 16..512 pixels"
_log = logging.getLogger(__name__)

T = TypeVar("T", bound="_Checked")
Unit = Annotated[float, Meta(ge=0, le=1)]
Weight = Annotated[float, Meta(ge=0, le=10)]
Pixels = Annotated[int, Meta(ge=0, le=512)]
BelowOne = Annotated[float, Meta(ge=0, lt=1)]
Side = Annotated[int, Meta(ge=16, le=512)]


class _Checked:
    """A part of a recipe, whose values obey their rules from the start; ``table`` is its name in the file."""

    table: ClassVar[str] = ""

    def __post_init__(self) -> None:
        for key, hint in _hints(type(self)).items():
            value = getattr(self, key)
            try:
                object.__setattr__(self, key, msgspec.convert(value, hint))
            except msgspec.ValidationError:
                raise ConfigError(f"{_dotted(self.table, key)} {_rule(key, hint, value)}, got {value!r}") from None


@dataclass(frozen=True)
class Augment(_Checked):
    """Whole-batch augmentation, see ``transforms``; zero switches a part off.

    degrees, scale, shift, mirror: ``transforms.affine``; brightness, contrast: ``transforms.light``;
    erase: probability, erase_low..erase_high pixels; mixup: alpha of the Beta distribution
    """

    table: ClassVar[str] = "augment"

    degrees: Annotated[float, Meta(ge=0, le=180)] = 0.0
    scale: Annotated[float, Meta(ge=0, le=0.9)] = 0.0
    shift: Annotated[float, Meta(ge=0, le=24)] = 0.0
    mirror: Unit = 0.0
    brightness: Unit = 0.0
    contrast: Unit = 0.0
    erase: Unit = 0.0
    erase_low: Pixels = 8
    erase_high: Pixels = 16
    mixup: Annotated[float, Meta(ge=0, le=10)] = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.erase_low > self.erase_high:
            raise ConfigError(
                f"augment.erase_low must not exceed augment.erase_high, got {self.erase_low} and {self.erase_high}"
            )


@dataclass(frozen=True)
class Degrade(_Checked):
    """What befalls the network's view of a face, and not its teachers', see ``corruption``; zero switches a kind off.

    probability     share of each batch that a kind befalls, drawn for each kind anew
    framing         scale 1 - a .. 1 + a, shift by up to a / 2 of the side, turn by up to 60 a degrees
    gamma           exponent exp(-a) .. exp(a)
    contrast        what is left lies in 1 - a .. 1
    cover           height of the largest bar, as a share of the side
    blur            largest sigma, as a share of the side
    low_resolution  what is left of the side lies in 1 - a .. 1
    noise           largest sigma, as a share of the range
    jpeg            lowest quality is 100 (1 - a)
    """

    table: ClassVar[str] = "degrade"

    probability: Unit = 0.3
    framing: BelowOne = 0.0
    gamma: Annotated[float, Meta(ge=0, le=3)] = 0.0
    contrast: BelowOne = 0.0
    cover: Unit = 0.0
    blur: Unit = 0.0
    low_resolution: BelowOne = 0.0
    noise: Unit = 0.0
    jpeg: BelowOne = 0.0


@dataclass(frozen=True)
class Optimizer(_Checked):
    """name "adam" (with coupled L2, as the report), "adamw" (decoupled) or "sgd" (Nesterov, momentum 0.9).

    lr                     peak learning rate
    weight_decay           not applied to biases, norms and scales
    transformer_lr_factor  on the learning rate of the model's ``transformer_parameters``
    trunk_lr_factor        on the learning rate of all but the heads, where training starts from weights (``init``)
    schedule               "constant", "cosine" (to zero) or "linear" (to zero), after ``warmup`` epochs of linear rise
    clip                   largest gradient norm, 0 for none
    """

    table: ClassVar[str] = "optimizer"

    name: Literal["adam", "adamw", "sgd"] = "sgd"
    lr: Annotated[float, Meta(ge=0, le=100)] = 0.1
    weight_decay: Weight = 0.0
    transformer_lr_factor: Annotated[float, Meta(ge=0, le=100)] = 1.0
    trunk_lr_factor: Annotated[float, Meta(ge=0, le=100)] = 0.1
    schedule: Literal["constant", "cosine", "linear"] = "constant"
    warmup: Annotated[float, Meta(ge=0, le=100_000)] = 0.0
    clip: Annotated[float, Meta(ge=0, le=1_000_000)] = 0.0


@dataclass(frozen=True)
class Distill(_Checked):
    """How teachers are followed (Hinton et al. 2015, arXiv 1503.02531, section 2).

    weight           of the teachers' distributions in the loss, 0..1; the labels have the rest
    temperature      that softens each teacher's and the network's distributions
    views            test-time views whose mean is a teacher's prediction, 1..10
    augmented_views  of each face that teachers predict, one of which the network sees each time, so that it is told of
                     what it sees (Beyer et al. 2021, arXiv 2106.05237, section 3; predictions that are kept: Faghri et
                     al. 2023, arXiv 2303.08983, section 3); 0: teachers predict the face itself, whatever the network
                     sees of it
    """

    table: ClassVar[str] = "distill"

    weight: Unit = 0.8
    temperature: Annotated[float, Meta(ge=0.1, le=100)] = 2.0
    views: Annotated[int, Meta(ge=1, le=10)] = 2
    augmented_views: Annotated[int, Meta(ge=0, le=1000)] = 0


@dataclass(frozen=True)
class Recipe(_Checked):
    """One training run.

    model            name for ``create_model``; ``options`` are its keyword arguments
    size             side in pixels that faces are resized to
    channels         1: faces are learnt in grey, 3: in colour
    smoothing        label smoothing, 0..1
    targets          "labels", or "votes" for the taggers' votes as soft targets
    class_weighting  0 none .. 1 inverse class frequency, as weights in the loss
    ema              decay of the moving average of the weights, 0 for none; the average is what is evaluated and kept
    deduplicate      leave exact copies within the training part out
    votes_weight     weight of the loss of a second head, which learns the taggers' votes beside the labels; 0 for none
    aux_weight       weight of the loss of each auxiliary classifier inside the network, where it has any
    adversary        weight of the loss by which a network hides who is on the picture from its adversary; 0 for none;
                     needs training faces with ``subject``
    sizes            progressive sizes: pairs of a share of the epochs and the side in pixels from there on, such as
                     [[0, 32], [0.4, 40], [0.7, 48]]; empty for the images' own size throughout
    init             weights to start from: a published name, a run or a file, whose network takes the place of
                     ``model`` and ``options``; empty for fresh weights
    init_share       with ``init``: share of the starting weights in the deployed ones, beside the trained ones, which
                     keeps what was known before (Wortsman et al. 2022, arXiv 2109.01903, section 3); the history has
                     the figures of the trained ones
    freeze           with ``init``: "trunk" trains the heads alone, "none" everything
    degrade          corruption that the network learns to see through; None: none
    distill          how teachers are followed; None: the recipe has none in mind
    """

    name: str
    model: str
    options: Mapping[str, Any] = field(default_factory=dict)
    size: Side = 48
    channels: Literal[1, 3] = 1
    epochs: Annotated[int, Meta(ge=1, le=100_000)] = 30
    batch_size: Annotated[int, Meta(ge=2, le=65_536)] = 128
    seed: Annotated[int, Meta(ge=0, le=2**63 - 1)] = 0
    smoothing: Unit = 0.0
    targets: Literal["labels", "votes"] = "labels"
    class_weighting: Unit = 0.0
    ema: BelowOne = 0.0
    deduplicate: bool = False
    votes_weight: Weight = 0.0
    aux_weight: Weight = 0.3
    adversary: Annotated[float, Meta(ge=0, le=100)] = 0.0
    sizes: tuple[tuple[BelowOne, Side], ...] = ()
    init: str = ""
    init_share: BelowOne = 0.0
    freeze: Literal["none", "trunk"] = "none"
    optimizer: Optimizer = field(default_factory=Optimizer)
    augment: Augment = field(default_factory=Augment)
    degrade: Degrade | None = None
    distill: Distill | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for part in (self.optimizer, self.augment, self.degrade, self.distill):
            if part is not None and not isinstance(part, _Checked):
                raise ConfigError(f"optimizer, augment, degrade and distill must be tables, got {part!r}")
        if self.optimizer.warmup > self.epochs:
            raise ConfigError(f"optimizer.warmup must lie in 0..{self.epochs} epochs, got {self.optimizer.warmup}")
        if self.distill and self.distill.augmented_views and self.augment.mixup:
            raise ConfigError(
                f"distill.augmented_views must be 0 with augment.mixup above 0, got {self.distill.augmented_views}"
            )
        for key, value, off in (("freeze", self.freeze, "none"), ("init_share", self.init_share, 0.0)):
            if value != off and not self.init:
                raise ConfigError(
                    f"{key} needs init, the weights to start from (--init mien-small), got {value!r} alone"
                )
        starts = [start for start, _ in self.sizes]
        if starts and (starts[0] != 0 or any(a >= b for a, b in pairwise(starts))):
            raise ConfigError(f"sizes {_SIZES}, got {self.sizes!r}")

    def size_at(self, epoch: int, own: int) -> int:
        """The side in pixels to train on in ``epoch``, from 0, for images of side ``own``."""
        begun = [side for start, side in self.sizes if start * self.epochs <= epoch]
        return begun[-1] if begun else own

    def to_dict(self) -> dict[str, Any]:
        """Plain dicts and values, for JSON; without ``degrade`` and ``distill`` where there are none."""
        return {k: v for k, v in msgspec.json.decode(msgspec.json.encode(self)).items() if v is not None}

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any], *, where: str = "") -> Recipe:
        """The recipe that a file or an earlier version of mien wrote.

        where  the file, if a person wrote it, who is then told of keys that have another name now
        """
        return _build(cls, raw, where)

    def override(self, **values: Any) -> Recipe:
        """The recipe with values replaced, ``None`` meaning keep; ``lr`` and ``weight_decay`` reach into the optimizer.

        Its warm-up is cut to ``epochs`` where these are fewer, and ``sizes`` follow a new ``size`` in proportion.
        """
        given = {k: v for k, v in values.items() if v is not None}
        inner: dict[str, Any] = {k: given.pop(k) for k in ("lr", "weight_decay") if k in given}
        if 1 <= given.get("epochs", 0) < self.optimizer.warmup:
            inner["warmup"] = float(given["epochs"])
        if (new := given.get("size", self.size)) != self.size:
            given["sizes"] = tuple((start, self._scaled(side, new)) for start, side in self.sizes)
        return replace(self, optimizer=replace(self.optimizer, **inner), **given)

    def _scaled(self, side: int, size: int) -> int:
        """A side of ``sizes`` where the recipe's size becomes ``size``: in proportion, a multiple of 8."""
        return size if side == self.size else max(16, round(side * size / self.size / 8) * 8)


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
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read as UTF-8 text ({error})") from error
    return read_recipe(text, str(path))


def read_recipe(text: str, where: str = "recipe") -> Recipe:
    """A recipe from TOML text; ``where`` names the file in errors. ``name`` defaults to the file's stem."""
    tomllib = need("tomllib" if sys.version_info >= (3, 11) else "tomli", "train")
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{where}: not TOML: {error}") from error
    try:
        return Recipe.from_dict({"name": Path(where).stem, **raw}, where=where)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error


def _build(cls: type[T], raw: Mapping[str, Any], where: str) -> T:
    """Make a part of a recipe from a mapping: new names for old keys, no unknown ones, tables as parts of their own."""
    parts = (
        {"optimizer": Optimizer, "augment": Augment, "degrade": Degrade, "distill": Distill} if cls is Recipe else {}
    )
    known = [f.name for f in fields(cls)]  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    for key, value in raw.items():
        new = _RENAMED.get(_dotted(cls.table, key), "").rpartition(".")[2] or key
        if new not in known:
            raise ConfigError(f"unknown key {_dotted(cls.table, key)!r}; known are {', '.join(known)}")
        if new != key and new in raw:
            raise ConfigError(f"{_dotted(cls.table, key)} is {new} now, and both are given: leave the old one out")
        if new != key and where:
            _log.warning("%s: %s is called %s now; the old name goes with the next release", where, key, new)
        if new in parts and not isinstance(value, Mapping):
            raise ConfigError(f"{new} must be a table, got {value!r}")
        values[new] = _build(parts[new], value, where) if new in parts else value
    if missing := [key for key in ("name", "model") if cls is Recipe and key not in values]:
        raise ConfigError(f'the key {missing[0]} is missing: give the name of a network, such as model = "mien-small"')
    return cls(**values)


def _hints(cls: Any) -> dict[str, Any]:
    """The rules of a part's plain values."""
    hints = get_type_hints(cls, include_extras=True)
    plain = {f.name: hints[f.name] for f in fields(cls)}
    return {k: hint for k, hint in plain.items() if not is_dataclass(hint) and k not in ("degrade", "distill")}


def _rule(key: str, hint: Any, value: Any) -> str:
    """What a value must be, in words."""
    info = type_info(hint)
    if key == "sizes":
        return _SIZES
    if isinstance(info, LiteralType):
        return f"must be one of {', '.join(map(str, info.values))}"
    if isinstance(info, FloatType | IntType):
        number = type(value) is int or (type(value) is float and isinstance(info, FloatType))
        bounds = f"lie in {info.ge}..{info.le}" if info.lt is None else f"be at least {info.ge} and below {info.lt}"
        return f"must {bounds}" if number else f"must be of type {hint.__origin__.__name__}"
    return f"must be of type {getattr(hint, '__name__', hint)}"


def _dotted(table: str, key: str) -> str:
    return f"{table}.{key}" if table else key
