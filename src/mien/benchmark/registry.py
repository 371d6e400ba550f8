"""Every method that the report names, under its own name: where it comes from, how it learns, what is reported of it.

What trains is imported when it is called: a list of the methods needs neither torch nor scikit-learn. Leaves out: how
a comparison is run (``runner``) and shown (``tables``).
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mien.classical.names import CLASSICAL
from mien.errors import ConfigError

if TYPE_CHECKING:
    from mien.benchmark.task import Fitted, Task
    from mien.data import FaceDataset

__all__ = ["METHODS", "REFERENCE", "Method", "choose"]

#: The method that all others are compared with.
REFERENCE = "deep-emotion-2019"


@dataclass(frozen=True)
class Method:
    """A way to learn expressions from faces.

    source    where it comes from; what deviates is said in the head of the file that holds it
    settings  seed -> all that decides the outcome beside data and budget, ready for JSON
    reported  data set -> accuracy in % that the report gives
    people    whether it needs to know who is on the pictures
    """

    name: str
    what: str
    source: str
    fit: Callable[[Task], Fitted]
    settings: Callable[[int], Mapping[str, Any]]
    reported: Mapping[str, float] = field(default_factory=dict)
    people: bool = False


def _network(name: str, what: str, source: str, **reported: float) -> Method:
    fit, settings = _later("networks.fit_network", name), _later("networks.network_settings", name)
    return Method(name, what, source, fit, settings, reported)


def _classical(name: str, **reported: float) -> Method:
    source = _SOURCES[name.split("-")[0]]
    fit, settings = _later("two_stage.fit_classical", name), _later("two_stage.classical_settings", name)
    return Method(name, CLASSICAL[name], source, fit, settings, reported)


def _later(place: str, *names: str) -> Callable[[Any], Any]:
    """What the function at ``place`` makes of ``names``, made when it is called."""
    return lambda given: _at(place)(*names)(given)


def _at(place: str) -> Any:
    module, _, name = place.partition(".")
    return getattr(importlib.import_module(f"mien.benchmark.{module}"), name)


_SOURCES = {
    "hog": "Dalal & Triggs 2005",
    "lbp": "Ojala et al. 2002; Shan et al. 2009",
    "sift": "Lowe 2004; Csurka et al. 2004",
    "haar": "Viola & Jones 2001",
    "bow": "Ionescu, Popescu & Grozea 2013, ICML workshop on representation learning",
}

_ALL = (
    _network(
        REFERENCE,
        "spatial transformer and four convolutions",
        "Minaee & Abdolrashidi 2019, arXiv 1902.01019",
        FER2013=70.02,
        FERG=99.3,
    ),
    _classical("bow-svm", FER2013=67.4),
    _classical("bow-svm-local", FER2013=67.4),
    Method(
        "vgg-svm",
        "features of a VGG-style network, linear SVM",
        "Georgescu, Ionescu & Popescu 2018, arXiv 1804.10892",
        lambda task: _at("two_stage.fit_vgg_svm")(task),
        _later("two_stage.vgg_settings"),
        {"FER2013": 66.31},
    ),
    _network("googlenet", "GoogLeNet for 48 x 48 faces", "Giannopoulos, Perikos & Hatzilygeroudis 2018", FER2013=65.2),
    _network(
        "mollahosseini", "two-inception network", "Mollahosseini, Chan & Mahoor 2016, arXiv 1511.04110", FER2013=66.4
    ),
    _network("deepexpr", "DeepExpr's recogniser", "Aneja et al. 2016", FERG=89.02),
    Method(
        "multi-feature",
        "handcrafted and learnt features, a vote",
        "Zhao, Liu & Yang 2018",
        lambda task: _at("two_stage.fit_multi_feature")(task),
        _later("two_stage.vgg_settings", "hog-svm", "lbp-svm"),
        {"FERG": 97.0},
    ),
    Method(
        "adversarial",
        "keeps expression, hides identity",
        "Feutry et al. 2018, arXiv 1802.09386",
        lambda task: _at("networks.fit_adversarial")(task),
        _later("networks.network_settings", "adversarial"),
        {"FERG": 98.2},
        people=True,
    ),
    *(_classical(name) for name in CLASSICAL if not name.startswith("bow-")),
)

#: name -> method, in the order of the report
METHODS: dict[str, Method] = {m.name: m for m in _ALL}


def choose(names: Sequence[str] | None, faces: FaceDataset) -> tuple[list[Method], list[str]]:
    """The methods of these names, or all that ``faces`` allow; and for each one left out, why.

    Raises :class:`ConfigError` for an unknown name, and where a method is asked for by name that needs people.
    """
    unknown = [n for n in names or () if n not in METHODS]
    if unknown:
        raise ConfigError(f"methods must be among {', '.join(METHODS)}; got {', '.join(unknown)}")
    chosen = [METHODS[n] for n in dict.fromkeys(names or METHODS)]
    if faces.subject is not None:
        return chosen, []
    shy = [m for m in chosen if m.people]
    if names and shy:
        raise ConfigError(f"{shy[0].name} needs data that say who is on the pictures; {faces.source} does not")
    return [m for m in chosen if not m.people], [f"{m.name}: needs data that say who is on the pictures" for m in shy]
