"""The methods that the report names, learnt and judged under one protocol: ``mien compare``."""

from mien.methods.protocol import PROTOCOLS, make_protocol
from mien.methods.registry import METHODS, REFERENCE, Method, choose
from mien.methods.runner import Event, Row, compare
from mien.methods.table import markdown, record

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
    "record",
]
