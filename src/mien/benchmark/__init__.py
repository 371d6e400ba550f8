"""The methods that the report names, trained and evaluated under one protocol: ``mien compare``.

Training them needs the extras ``train`` and ``classical``; their list needs neither.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from mien.benchmark.registry import METHODS, REFERENCE, Method, choose

if TYPE_CHECKING:
    from mien.benchmark.protocol import PROTOCOLS, make_protocol
    from mien.benchmark.runner import Event, Row, compare
    from mien.benchmark.tables import markdown, notes, record, table

__all__ = [
    "METHODS",
    "PROTOCOLS",
    "REFERENCE",
    "Event",
    "Method",
    "Row",
    "choose",
    "compare",
    "make_protocol",
    "markdown",
    "notes",
    "record",
    "table",
]

_PLACES = {
    "PROTOCOLS": "protocol",
    "make_protocol": "protocol",
    "Event": "runner",
    "Row": "runner",
    "compare": "runner",
    "markdown": "tables",
    "notes": "tables",
    "record": "tables",
    "table": "tables",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for on first use (PEP 562): what trains needs torch."""
    if name in _PLACES:
        return getattr(importlib.import_module(f"{__name__}.{_PLACES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
