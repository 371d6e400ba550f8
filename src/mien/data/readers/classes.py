"""What words for classes mean: which of them are one class, what it is called, and the order of classes.

Leaves out: where the words stand (folders, columns) and the words for expressions (``mien.labels``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping

from mien.labels import FER2013, FERPLUS, canonical, fold, plain

__all__ = ["NUMBERED", "class_order", "class_words"]

#: The classes that the numbers 0..7 stand for: FER2013's, and 7 for contempt, as CK+ is handed on in its layout.
NUMBERED = (*FER2013.names, "contempt")


def class_words(parts: Mapping[str, Collection[str]]) -> dict[tuple[str, str], str]:
    """``(part, word) -> class``, for the words of each part (a split, a file), those of earlier parts first.

    Words that differ in case, Unicode form or outer blanks alone are one class, called as the earliest part spells it;
    other words for an expression are that expression, as each part may spell in its own way. Where one part tells two
    words for an expression apart ("happy" and "joy"), they stay two classes in all parts.
    """
    apart: set[str] = set()
    for found in parts.values():
        meant = {key: canonical(key) for key in map(fold, found)}
        counts = Counter(meant.values())
        apart |= {key for key, name in meant.items() if counts[name] > 1}
    called: dict[str, str] = {}
    result = {}
    for part, found in parts.items():
        for word in sorted(found):
            name = plain(word) if fold(word) in apart else canonical(word)
            result[part, word] = called.setdefault(fold(name), name)
    return result


def class_order(classes: Iterable[str]) -> tuple[str, ...]:
    """FER+'s order for exactly its eight classes; otherwise FER2013's, contempt, then the others by number or name."""
    found = set(classes)
    if found == set(FERPLUS.names):
        return FERPLUS.names
    others = sorted(found - set(NUMBERED), key=lambda c: (not c.isdecimal(), int(c) if c.isdecimal() else 0, c))
    return (*(k for k in NUMBERED if k in found), *others)
