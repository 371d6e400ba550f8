"""Answers as tables: one schema for photos and videos, and writers that stream it; see ``docs/columns.md``."""

from mien.results.schema import COLUMNS, FORMAT, columns, to_arrow, to_pandas

__all__ = ["COLUMNS", "FORMAT", "columns", "to_arrow", "to_pandas"]
