"""Names of a package that come when they are asked for (PEP 562), so that importing it loads nothing heavy.

A package lists them in ``__all__``, imports them under ``TYPE_CHECKING`` for type checkers, and says here where they
are. Leaves out: when something is imported that no name stands for (a function imports it itself).
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["lazy_names"]


def lazy_names(
    package: str,
    places: Mapping[str, tuple[str, ...]],
    *,
    needs: Mapping[str, tuple[str, ...]] | None = None,
    extra: str = "",
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The ``__getattr__`` and the ``__dir__`` of ``package``: ``places`` is module -> the names that come from it.

    ``needs`` is module -> the packages that it cannot do without; where one is missing, who asks for a name of that
    module gets :class:`mien.errors.MissingExtra` with the line that installs ``extra``.
    """
    module_of = {name: module for module, names in places.items() for name in names}

    def get(name: str) -> Any:
        if name not in module_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = module_of[name]
        for needed in (needs or {}).get(module, ()):
            from mien.errors import need  # here, as the package's own import is to stay cheap

            need(needed, extra)
        return getattr(importlib.import_module(f"{package}.{module}"), name)

    def names() -> list[str]:
        return sorted(importlib.import_module(package).__all__)

    return get, names
