"""How messages say a count: ``1 photo``, ``1,200 photos``.

Leaves out: numbers with a unit (``12 s``, ``64 px``), which have no plural.
"""

from __future__ import annotations

__all__ = ["counted"]


def counted(n: int, one: str, many: str = "") -> str:
    """``n`` and the noun for it; ``many`` where the plural is not ``one`` with an s."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"
