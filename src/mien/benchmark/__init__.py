"""The methods that the report names, trained and evaluated under one protocol: ``mien compare``.

Training them needs the extras ``train`` and ``classical``; their list needs neither.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mien.benchmark.registry import METHODS, REFERENCE, Method, choose
from mien.lazy import lazy_names

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

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "protocol": ("PROTOCOLS", "make_protocol"),
        "runner": ("Event", "Row", "compare"),
        "tables": ("markdown", "notes", "record", "table"),
    },
    needs={"runner": ("torch",), "tables": ("torch",)},
    extra="train",
)
