"""Files by path or address: listed, read many at a time, and written so that nothing is ever half there.

A path lies on this machine; an address such as ``s3://bucket/photos`` is opened by fsspec, with the package that it
names for that protocol. Leaves out: what is in the files.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from mien.errors import ConfigError, MissingExtra, OutputError, need
from mien.files import replace_file
from mien.images import MAX_BYTES

__all__ = ["Folder", "is_address", "open_at", "read_many"]

# An object store shows an object only once all of it has arrived; elsewhere a file grows in sight of everybody.
_OBJECT_STORES = {"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oss", "oci", "memory"}


def is_address(name: str) -> bool:
    """Whether a name is ``protocol://...``, not a path."""
    return "://" in name


def open_at(address: str) -> tuple[Any, str]:
    """The fsspec file system of an address, and the path in it; MissingExtra where its package is not installed."""
    fsspec = need("fsspec", "batch")
    try:
        fs, path = fsspec.core.url_to_fs(address)
    except ImportError as error:
        raise MissingExtra(f"{address}: {error}") from error
    except ValueError as error:
        raise ConfigError(f"{address}: {error}; known are the protocols of fsspec, such as s3:// and gs://") from error
    return fs, str(path)


def read_many(names: Sequence[str]) -> list[bytes | str]:
    """The bytes of each path or address, or a line that says why there are none; many addresses are asked at once."""
    found: list[bytes | str] = [_read(name) if not is_address(name) else "" for name in names]
    for protocol in {name.split("://")[0] for name in names if is_address(name)}:
        rows = [i for i, name in enumerate(names) if name.startswith(f"{protocol}://")]
        opened = [open_at(names[i]) for i in rows]
        fs, paths = opened[0][0], [path for _, path in opened]
        got = fs.cat_ranges(paths, 0, MAX_BYTES + 1, on_error="return")
        for i, data in zip(rows, got, strict=True):
            found[i] = _why(data) if isinstance(data, BaseException) else data
    return [_TOO_LARGE if len(data) > MAX_BYTES else data for data in found]


_TOO_LARGE = f"the file has more than {MAX_BYTES >> 20} MiB"


def _read(path: str) -> bytes | str:
    try:
        if os.path.getsize(path) > MAX_BYTES:
            return _TOO_LARGE
        return Path(path).read_bytes()
    except (OSError, ValueError) as error:
        return _why(error)


def _why(error: BaseException) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


class Folder:
    """A folder, by path or address, whose files appear whole or not at all; may be pickled."""

    def __init__(self, address: str) -> None:
        self.address = address.rstrip("/") or address
        if not is_address(self.address):
            self.address = os.path.abspath(self.address)  # a worker may start elsewhere

    def names(self) -> set[str]:
        """The files that lie directly in it; none where there is no such folder, OutputError where it is none."""
        if not is_address(self.address):
            try:
                return set(os.listdir(self.address))
            except FileNotFoundError:
                return set()
            except OSError as error:
                raise OutputError(
                    f"{self.address}: is no folder to write to ({error.strerror}); choose another"
                ) from error
        fs, path = open_at(self.address)
        fs.invalidate_cache(path)
        try:
            return {str(name).rsplit("/", 1)[-1] for name in fs.ls(path, detail=False)}
        except FileNotFoundError:
            return set()

    def read(self, name: str) -> bytes:
        """A file's bytes; OSError where there is none."""
        if not is_address(self.address):
            return Path(self.address, name).read_bytes()
        fs, path = open_at(self.address)
        return bytes(fs.cat_file(f"{path}/{name}"))

    def write(self, name: str, data: bytes) -> None:
        """Put a file there in one step, in place of one of that name; OutputError says why it cannot be."""
        if not is_address(self.address):
            with _reported(self.address):
                Path(self.address).mkdir(parents=True, exist_ok=True)
            replace_file(Path(self.address, name), lambda p: p.write_bytes(data))
            return
        fs, path = open_at(self.address)
        protocols = {fs.protocol} if isinstance(fs.protocol, str) else set(fs.protocol)
        with _reported(f"{self.address}/{name}"):
            if protocols & _OBJECT_STORES:
                fs.pipe_file(f"{path}/{name}", data)
                return
            fs.makedirs(path, exist_ok=True)
            temporary = f"{path}/.{uuid.uuid4().hex}-{name}"
            fs.pipe_file(temporary, data)
            fs.mv(temporary, f"{path}/{name}")

    def remove(self, names: Iterable[str]) -> None:
        """Take files away."""
        fs, path = open_at(self.address)
        with _reported(self.address):
            for name in names:
                fs.rm_file(f"{path}/{name}")


class _reported:
    """Whatever a store raises, and each has errors of its own, becomes an OutputError that names the place."""

    def __init__(self, where: str) -> None:
        self.where = where

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: object) -> None:
        if isinstance(error, Exception) and not isinstance(error, OutputError):
            raise OutputError(f"{self.where}: cannot be written ({_why(error)}); check the address") from error
