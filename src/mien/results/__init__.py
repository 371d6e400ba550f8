"""Answers as tables: one schema, and writers that stream it to a file."""
