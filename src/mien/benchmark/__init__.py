"""The methods that the report names, trained and evaluated under one protocol: ``mien compare``."""

from mien.benchmark.protocol import PROTOCOLS, make_protocol
from mien.benchmark.registry import METHODS, REFERENCE, Method, choose
from mien.benchmark.runner import Event, Row, compare
from mien.benchmark.table import markdown, notes, record, table

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
