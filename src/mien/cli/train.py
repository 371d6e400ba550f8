"""``mien train``."""

from __future__ import annotations

__all__ = ["train"]


def train() -> None:
    """."""
