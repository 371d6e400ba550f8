"""Pieces of Markdown that a card is made of. Leaves out: what they say (``card``, ``card_faces``)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

__all__ = ["bullets", "percent", "plain", "section"]


def section(title: str, body: str, level: int = 2) -> str:
    """A heading and what follows it."""
    return f"{'#' * level} {plain(title)}\n\n{body}\n"


def bullets(lines: Iterable[str]) -> str:
    """Lines of a list."""
    return "\n".join(f"- {line}" for line in lines)


def percent(share: float) -> str:
    """0.6531 -> ``"65.31 %"``."""
    return f"{100 * share:.2f} %"


def plain(value: Any) -> str:
    """Text for a line or a cell of Markdown: one line, no table bars, no HTML, no links or emphasis of its own."""
    text = " ".join(str(value).split())
    for sign in "\\`*[]|<":
        text = text.replace(sign, "\\" + sign)
    return text
