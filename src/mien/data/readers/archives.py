"""Files, folders, zip and tar archives as one thing: named entries that can be opened, never unpacked to disk.

What a file is, is read from its first bytes (gzip, bzip2, xz, zip, tar, Parquet), never from its suffix. Leaves out:
what the entries mean (``csv_table``, ``folders``, ``layouts``, ``parquet``).
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

from mien.errors import DataError
from mien.picture_files import PassedOver, is_hidden, walk_files

__all__ = ["BROKEN", "MAX_UNPACKED", "Entry", "entries", "kind_of", "reason", "unpacked"]

#: What the standard library raises for damaged or unreadable files.
BROKEN = (
    OSError,
    EOFError,
    ValueError,
    OverflowError,
    NotImplementedError,
    RuntimeError,
    struct.error,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
    tarfile.TarError,
)
#: The most bytes that one file may unpack to; more is taken for a decompression bomb.
MAX_UNPACKED = 4 << 30

_OPENERS: dict[bytes, Callable[[Any], Any]] = {
    b"\x1f\x8b": lambda f: gzip.GzipFile(fileobj=f, mode="rb"),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\x00": lzma.LZMAFile,
}
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_PARQUET = b"PAR1"


@dataclass(frozen=True)
class Entry:
    """One file of a folder or archive; ``open`` works until the next entry is asked for."""

    name: str
    where: str
    opener: Callable[[], IO[bytes]]

    @contextmanager
    def open(self) -> Iterator[io.BufferedReader]:
        """The content, unpacked where it is compressed."""
        with self.opener() as raw, unpacked(raw, self.where) as stream:
            yield stream

    def read(self, limit: int) -> bytes:
        """The whole content as it is stored; a :class:`DataError` where it is longer than ``limit`` bytes."""
        with self.opener() as raw:
            data = raw.read(limit + 1)
        if len(data) > limit:
            raise DataError(f"is larger than {limit >> 20} MiB, the most that is read of such a file", self.where)
        return data


class _Limited(io.RawIOBase):
    """A stream that stops with an error after ``limit`` bytes."""

    def __init__(self, raw: IO[bytes], limit: int, where: str) -> None:
        self.raw, self.left, self.limit, self.where = cast("io.BufferedReader", raw), limit, limit, where

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self.raw.read1(len(buffer))
        self.left -= len(data)
        if self.left < 0:
            raise DataError(
                f"unpacks to more than {self.limit:,} bytes: taken for a decompression bomb and not read; "
                "split the file if it is real",
                self.where,
            )
        buffer[: len(data)] = data
        return len(data)


@contextmanager
def unpacked(raw: IO[bytes], where: str) -> Iterator[io.BufferedReader]:
    """``raw`` behind a limit on its length; gzip, bzip2 and xz are recognised by their first bytes and undone."""
    with ExitStack() as stack:
        stream: io.BufferedReader = stack.enter_context(io.BufferedReader(_Limited(raw, MAX_UNPACKED, where), 1 << 18))
        for _ in range(2):  # a .csv.gz that was gzipped again is still read; deeper nesting is not
            head = stream.peek(6)[:6]
            opener = next((o for magic, o in _OPENERS.items() if head.startswith(magic)), None)
            if opener is None:
                break
            inner = stack.enter_context(opener(stream))
            stream = stack.enter_context(io.BufferedReader(_Limited(inner, MAX_UNPACKED, where), 1 << 18))
        yield stream


def kind_of(path: Path) -> str:
    """``"folder"``, ``"zip"``, ``"tar"``, ``"parquet"`` or ``"file"``; a :class:`DataError` where there is no such."""
    where = str(path)
    try:
        if path.is_dir():
            return "folder"
        if not path.exists():
            raise DataError("no such file or folder; check the path", where)
        if not path.is_file():
            raise DataError("is neither a file nor a folder", where)
        with path.open("rb") as raw:
            head = raw.read(4)
            raw.seek(0)
            if head in _ZIP:
                return "zip"
            if head == _PARQUET:
                return "parquet"
            if not head:
                raise DataError("the file is empty; download it again", where)
            with unpacked(raw, where) as stream:
                return "tar" if _is_tar(stream) else "file"
    except BROKEN as error:
        raise DataError(f"cannot be read: {reason(error)}", where) from error


def _is_tar(stream: io.BufferedReader) -> bool:
    try:
        return stream.read(512)[257:262] == b"ustar"
    except BROKEN:  # a broken stream is reported by the reader that follows, with what it could save
        return False


def entries(path: Path, kind: str, passed: PassedOver | None = None) -> Generator[Entry]:
    """The regular files of a folder (sorted) or archive (in its order), hidden ones left out; nothing is extracted.

    ``passed`` counts what is left out. Linked folders are entered, each target once. Wrap it in
    ``contextlib.closing``. An entry whose name would leave the archive (absolute, or with ``..``) raises
    :class:`DataError`.
    """
    passed = PassedOver() if passed is None else passed
    if kind == "folder":
        for file in walk_files(path, passed, follow=True):
            yield Entry(file.relative_to(path).as_posix(), str(file), lambda file=file: file.open("rb"))  # type: ignore[misc]
        return
    for entry in _zip(path) if kind == "zip" else _tar(path, passed):
        parts = PurePosixPath(entry.name).parts
        if ".." in parts or entry.name.startswith("/") or (len(entry.name) > 1 and entry.name[1] == ":"):
            raise DataError(
                "has an entry whose name leaves the archive: it is damaged or hostile and is not read; "
                "unpack it by hand with a tool that you trust",
                entry.where,
            )
        if any(map(is_hidden, parts)):
            passed.add("apple_double" if parts[-1].startswith("._") else "hidden", entry.name)
        else:
            yield entry


def _zip(path: Path) -> Iterator[Entry]:
    with zipfile.ZipFile(path) as z:
        for info in z.infolist():
            if not info.is_dir():
                name = info.filename.replace("\\", "/")
                yield Entry(name, f"{path}/{name}", lambda info=info: z.open(info))  # type: ignore[misc]


def _tar(path: Path, passed: PassedOver) -> Iterator[Entry]:
    with path.open("rb") as raw, unpacked(raw, str(path)) as stream, tarfile.open(fileobj=stream, mode="r|") as tar:
        for member in tar:
            if member.isreg():
                name = member.name[2:] if member.name.startswith("./") else member.name
                yield Entry(name, f"{path}/{name}", lambda m=member: cast("IO[bytes]", tar.extractfile(m)))  # type: ignore[misc]
            elif not member.isdir():
                passed.add("link_in_archive" if member.issym() or member.islnk() else "no_file", member.name)


def reason(error: BaseException) -> str:
    """An exception of the standard library in plain words."""
    if isinstance(error, PermissionError):
        return "no permission to read it"
    if isinstance(error, EOFError):
        return "the compressed data ends too early (a download that broke off?); download it again"
    if isinstance(error, RuntimeError) and "encrypted" in str(error):
        return "it is encrypted; unpack it first"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return f"it is damaged ({error}); download it again" if str(error) else "it is damaged; download it again"
