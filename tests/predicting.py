"""Running ``mien predict`` inside a test."""

from __future__ import annotations

from typer.testing import CliRunner

from mien.cli import app


def run(*arguments):
    return CliRunner().invoke(app, ["predict", *map(str, arguments), "--threads", "1"])
