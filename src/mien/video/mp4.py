"""What the header of an MP4 or QuickTime file says and OpenCV does not: its picture tracks, and how long each is shown.

OpenCV opens the first picture track, a cover too, and counts the frames that are stored, those too that an edit list
leaves out. Box layouts are those of ISO/IEC 14496-12. PyAV needs none of this.
Leaves out: everything but the list of tracks, and whether another file was joined to it.
"""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Hidden", "Track", "joined_files", "read_tracks"]

_LARGEST = 1 << 28  # bytes of a header; an hour has about one megabyte
_FIRST = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")


@dataclass(frozen=True)
class Track:
    """One track of a file.

    kind     ``vide``, ``soun`` or another
    frames   that are stored; 0 where they come in fragments
    stored   seconds of all of them
    shown    seconds that the edit list shows; ``stored`` without one
    place    where in the file the four letters ``trak`` stand
    """

    kind: str
    frames: int
    stored: float
    shown: float
    place: int

    @property
    def trimmed(self) -> bool:
        """Whether the edit list leaves out more of the stored frames than one, which rounding may explain."""
        return self._left_out > 1.5

    @property
    def rounded(self) -> bool:
        """Whether it may leave out one."""
        return 0.5 < self._left_out <= 1.5

    @property
    def _left_out(self) -> float:
        return (self.stored - self.shown) * self.frames / self.stored if self.stored else 0.0


def read_tracks(path: str | os.PathLike[str]) -> tuple[Track, ...]:
    """The tracks in the file's order; none for another kind of file or a damaged header."""
    try:
        with open(path, "rb") as file:
            place, header = _header(file, Path(path).stat().st_size)
        return tuple(_tracks(header, place))
    except (OSError, struct.error, ValueError, ZeroDivisionError):
        return ()


def joined_files(path: str | os.PathLike[str]) -> int:
    """How many such files lie in it byte to byte, by their headers; 0 for another kind of file, or an address.

    Decoders follow the first header, so that what lies behind another one may be passed over without a word.
    """
    try:
        with open(path, "rb") as file:
            return sum(kind == b"moov" for kind, _, _ in _file_boxes(file, Path(path).stat().st_size))
    except (OSError, struct.error, ValueError):
        return 0


class Hidden(io.BufferedIOBase):
    """A file as OpenCV reads it, in which some tracks are marked as free space, so that the others are found."""

    def __init__(self, path: str | os.PathLike[str], tracks: Sequence[Track]) -> None:
        self._file = open(path, "rb")  # noqa: SIM115 - closed by close()
        self._places = [track.place for track in tracks]

    def read(self, size: int | None = -1, /) -> bytes:
        """Bytes from the present position on."""
        start = self._file.tell()
        data = bytearray(self._file.read(size))
        for place in self._places:
            for i, letter in enumerate(b"free"):
                if 0 <= place + i - start < len(data):
                    data[place + i - start] = letter
        return bytes(data)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """As files do."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """As files do."""
        return self._file.tell()

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()


def _header(file: io.BufferedReader, size: int) -> tuple[int, bytes]:
    """Where the content of the box ``moov`` begins, and that content."""
    for kind, start, length in _file_boxes(file, size):
        if kind == b"moov" and length <= _LARGEST:
            file.seek(start)
            return start, file.read(length)
    raise ValueError("no header")


def _file_boxes(file: io.BufferedReader, size: int) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and length of the content of each box of the file itself; none where its first is of no such file."""
    at = 0
    while at + 8 <= size:
        file.seek(at)
        length, kind = struct.unpack(">I4s", file.read(8))
        head = 8
        if length == 1:
            (length,), head = struct.unpack(">Q", file.read(8)), 16
        if (at == 0 and kind not in _FIRST) or (0 != length < head):
            return
        yield kind, at + head, (length or size - at) - head
        at += length or size


def _boxes(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and end of the content of each box between two places."""
    while start + 8 <= end:
        length, kind = struct.unpack_from(">I4s", data, start)
        head = 8
        if length == 1:
            (length,), head = struct.unpack_from(">Q", data, start + 8), 16
        stop = end if length == 0 else min(end, start + length)
        if stop < start + head:
            return
        yield kind, start + head, stop
        start = stop


def _inside(data: bytes, box: tuple[int, int], *way: bytes) -> tuple[int, int] | None:
    """The content of the first box along a way of kinds."""
    for wanted in way:
        found = next(((a, b) for kind, a, b in _boxes(data, *box) if kind == wanted), None)
        if found is None:
            return None
        box = found
    return box


def _tracks(data: bytes, place: int) -> Iterator[Track]:
    whole = (0, len(data))
    movie = _inside(data, whole, b"mvhd")
    if movie is None:
        return
    clock = _clock(data, movie)[0]
    for kind, a, b in _boxes(data, *whole):
        if kind != b"trak":
            continue
        media, handler = _inside(data, (a, b), b"mdia", b"mdhd"), _inside(data, (a, b), b"mdia", b"hdlr")
        if media is None or handler is None:
            continue
        ticks, length = _clock(data, media)
        sizes = _inside(data, (a, b), b"mdia", b"minf", b"stbl", b"stsz")
        frames = struct.unpack_from(">I", data, sizes[0] + 8)[0] if sizes else 0
        edits = _inside(data, (a, b), b"edts", b"elst")
        stored = length / ticks
        shown = _shown(data, edits, clock) if edits else None
        name = data[handler[0] + 8 : handler[0] + 12].decode("latin-1")
        yield Track(name, frames, stored, stored if shown is None else shown, place + a - 4)


def _clock(data: bytes, box: tuple[int, int]) -> tuple[int, int]:
    """Ticks a second and length in ticks, of ``mvhd`` or ``mdhd``."""
    long = data[box[0]] == 1
    ticks, length = struct.unpack_from(">IQ" if long else ">II", data, box[0] + (20 if long else 12))
    return ticks, length


def _shown(data: bytes, box: tuple[int, int], clock: int) -> float | None:
    """Seconds of the edits that show something; None where one of them goes on to the end."""
    long = data[box[0]] == 1
    (count,) = struct.unpack_from(">I", data, box[0] + 4)
    total = 0
    for i in range(count):
        length, at = struct.unpack_from(">Qq" if long else ">Ii", data, box[0] + 8 + i * (20 if long else 12))
        if at >= 0 and length == 0:
            return None
        total += length if at >= 0 else 0
    return total / clock
