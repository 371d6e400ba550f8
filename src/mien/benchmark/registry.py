"""Every method that the report names, under its own name: where it comes from, how it learns, what is reported of it.

Leaves out: how a comparison is run (``runner``) and shown (``table``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mien.benchmark.networks import fit_adversarial, fit_network, network_settings
from mien.benchmark.task import Fitted, Task
from mien.benchmark.two_stage import classical_settings, fit_classical, fit_multi_feature, fit_vgg_svm, vgg_settings
from mien.classical import CLASSICAL
from mien.data import FaceDataset
from mien.errors import ConfigError

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
    return Method(name, what, source, fit_network(name), network_settings(name), reported)


def _classical(name: str, **reported: float) -> Method:
    source = _SOURCES[name.split("-")[0]]
    return Method(name, CLASSICAL[name], source, fit_classical(name), classical_settings(name), reported)


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
        fit_vgg_svm,
        vgg_settings(),
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
        fit_multi_feature,
        vgg_settings("hog-svm", "lbp-svm"),
        {"FERG": 97.0},
    ),
    Method(
        "adversarial",
        "keeps expression, hides identity",
        "Feutry et al. 2018, arXiv 1802.09386",
        fit_adversarial,
        network_settings("adversarial"),
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
