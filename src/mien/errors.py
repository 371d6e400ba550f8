"""The error tree: everything mien raises on purpose.

    MienError
    ├── DataError      a file, row or picture that cannot be read as faces
    ├── ConfigError    an argument, flag or recipe key with a value outside its rule
    ├── ModelError     a model that is unknown, or weights that do not fit
    ├── OutputError    a folder that cannot be written, a disk that is full
    └── MissingExtra   an optional dependency that is not installed

Each message names what was given, the rule it breaks and what to do. Programming errors (a wrong type deep inside)
stay ordinary Python exceptions.
"""

from __future__ import annotations

import importlib
from types import ModuleType

from mien.installation import pip_line

__all__ = ["ConfigError", "DataError", "MienError", "MissingExtra", "ModelError", "OutputError", "need"]


class MienError(Exception):
    """Base class of every error that mien raises on purpose."""


class DataError(MienError):
    """A file, row or picture that cannot be read as faces; ``where`` is ``file`` or ``file:line``."""

    def __init__(self, message: str, where: str = "") -> None:
        super().__init__(f"{where}: {message}" if where else message)
        self.message = message
        self.where = where


class ConfigError(MienError):
    """An argument, flag or recipe key with a value outside its rule."""


class ModelError(MienError):
    """A model that is unknown, or weights that do not fit it."""


class OutputError(MienError):
    """A folder that cannot be written, or a disk that is full."""


class MissingExtra(MienError):
    """An optional dependency is not installed; the message holds the exact ``pip install`` line."""


def need(module: str, extra: str) -> ModuleType:
    """Import ``module`` or raise :class:`MissingExtra` with the line that installs it."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != module.split(".")[0]:
            raise
        raise MissingExtra(f"this needs {module}, which is not installed: {pip_line(extra)}") from error
