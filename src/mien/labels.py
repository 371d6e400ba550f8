"""Label sets: names, order, short names and colours of the expressions, and the words other data sets use for them.

Leaves out: anything about images. The order of a set is the order of a network's outputs and never changes.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["FER2013", "FERPLUS", "LABEL_SETS", "LabelSet", "canonical", "colour", "fold", "match", "plain", "short"]


@dataclass(frozen=True)
class LabelSet:
    """A named, ordered set of expressions; the index of a name is its class number."""

    name: str
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)


#: FER2013 (Goodfellow et al. 2013, arXiv 1307.0414), in the order of the file's class numbers.
FER2013 = LabelSet("fer2013", ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"))

#: FER+ (Barsoum et al. 2016, arXiv 1608.01041), in the order of the vote columns.
FERPLUS = LabelSet("ferplus", ("neutral", "happy", "surprise", "sad", "angry", "disgust", "fear", "contempt"))

#: Every label set by its name.
LABEL_SETS = {s.name: s for s in (FER2013, FERPLUS)}

# expression -> short name (three letters), colour (sRGB hex, told apart by the colour-blind), other words for it
_EXPRESSIONS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "angry": ("ang", "#d1495b", ("anger", "an", "ang", "mad", "angrily")),
    "disgust": ("dis", "#6a994e", ("disgusted", "di", "dis")),
    "fear": ("fea", "#7b5ea7", ("afraid", "fearful", "scared", "fe", "fea", "af", "fearfull")),
    "happy": ("hap", "#e9a820", ("happiness", "joy", "joyful", "ha", "hap", "smile", "smiling")),
    "sad": ("sad", "#3a7ca5", ("sadness", "sa", "unhappy", "sorrow")),
    "surprise": ("sur", "#ef7b45", ("surprised", "su", "sur", "astonished")),
    "neutral": ("neu", "#8d99ae", ("ne", "neu", "natural", "normal", "calm", "no emotion")),
    "contempt": ("con", "#5c4742", ("contemptuous", "co", "con")),
}
_WORDS = {word: name for name, (_, _, words) in _EXPRESSIONS.items() for word in (name, *words)}


def plain(word: str) -> str:
    """``word`` in one Unicode form (composed) and without outer blanks."""
    return unicodedata.normalize("NFC", word).strip()


def fold(word: str) -> str:
    """What two spellings of one class name have in common: no case, one Unicode form, no outer blanks."""
    return unicodedata.normalize("NFC", plain(word).casefold())


def canonical(word: str) -> str:
    """The expression that ``word`` names (``"Joy"`` -> ``"happy"``), or ``word`` itself, plain, where it names none."""
    key = fold(word).replace("_", " ").replace("-", " ")
    return _WORDS.get(key) or plain(word)


def match(words: Sequence[str]) -> tuple[str, ...]:
    """The expressions for a list of class names; names stay as they are where two would become the same."""
    found = [canonical(w) for w in words]
    return tuple(f if found.count(f) == 1 else w for f, w in zip(found, words, strict=True))


def short(name: str) -> str:
    """Three letters for a table head: ``"happy"`` -> ``"hap"``."""
    return _EXPRESSIONS[name][0] if name in _EXPRESSIONS else name[:3]


def colour(name: str) -> str:
    """The colour of an expression in plots and overlays, as ``#rrggbb``; one grey for names that are none."""
    return _EXPRESSIONS[name][1] if name in _EXPRESSIONS else "#777777"
