"""Bytes of a picture -> pixels, with the size checked before anything is decoded.

The header is read here, in a few lines a format, because a small file can claim billions of pixels and OpenCV would
allocate them. Only formats whose header is understood are decoded: PNG, JPEG, WebP, BMP, GIF (first frame), TIFF and
PNM. EXIF orientation is applied; transparent pixels are laid on white; 16-bit values become 8-bit.
Leaves out: faces, folders and writing.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError

__all__ = ["MAX_BYTES", "MAX_PIXELS", "SUFFIXES", "decode", "dimensions", "is_picture", "read_image", "resize"]

#: The largest picture file that is read.
MAX_BYTES = 256 << 20

#: The largest picture that is decoded: 100 million pixels, a sheet of 10,000 x 10,000.
MAX_PIXELS = 100_000_000

#: File endings of the formats that :func:`decode` reads, lower case, for those who look through folders.
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".pgm", ".ppm", ".pbm")


def read_image(path: str | os.PathLike[str], *, colour: bool) -> NDArray[np.uint8]:
    """Read a picture file: uint8 ``(H, W, 3)`` BGR with ``colour``, else ``(H, W)`` grey; DataError names the file."""
    try:
        data = Path(path).read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(f"cannot be read ({reason})", str(path)) from error
    return decode(data, str(path), colour=colour)


def decode(data: bytes, where: str, *, colour: bool) -> NDArray[np.uint8]:
    """Decode a picture: uint8 ``(H, W, 3)`` BGR with ``colour``, else ``(H, W)`` grey.

    ``where`` names the picture in the DataError that an empty, unknown, damaged or gigantic picture raises.
    """
    width, height = dimensions(data, where)
    if width < 1 or height < 1:
        raise DataError(f"the picture's header says {width} x {height} pixels", where)
    if width * height > MAX_PIXELS:
        raise DataError(f"{width} x {height} pixels are over the limit of {MAX_PIXELS:,}; make it smaller", where)
    clear = _may_be_transparent(data)
    flag = cv2.IMREAD_UNCHANGED if clear else cv2.IMREAD_COLOR if colour else cv2.IMREAD_GRAYSCALE
    try:
        found = cv2.imdecode(np.frombuffer(data, np.uint8), flag)
    except (cv2.error, MemoryError) as error:
        raise DataError("the picture is damaged", where) from error
    if found is None or found.size == 0 or found.dtype not in (np.uint8, np.uint16):
        raise DataError("the picture is damaged, cut short or of a rare kind, such as TIFF of 32 bits", where)
    plain = _plain(found, colour, weighted=data[:2] in (b"II", b"MM"))
    return _upright(plain, _orientation(data)) if clear else plain  # the other flags turn it


def is_picture(name: str | os.PathLike[str]) -> bool:
    """Whether a file's name claims a picture; whether it is one, :func:`decode` tells."""
    return Path(name).suffix.lower() in SUFFIXES


def resize(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """``image`` at ``size`` x ``size``: by area where it shrinks, linear where it grows."""
    if image.shape[:2] == (size, size):
        return image
    shrinks = min(image.shape[:2]) > size
    out = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return np.asarray(out, dtype=np.uint8)


def dimensions(data: bytes, where: str = "") -> tuple[int, int]:
    """Width and height in pixels as the header states them, before EXIF turns the picture; nothing is decoded."""
    if not data:
        raise DataError("the picture is empty (0 bytes)", where)
    for magic, read in _HEADERS:
        if data.startswith(magic):
            try:
                return read(data)
            except (struct.error, IndexError, ValueError) as error:
                raise DataError("the picture's header is damaged or cut short", where) from error
    raise DataError("not a picture that can be read: PNG, JPEG, WebP, BMP, GIF, TIFF or PNM is needed", where)


def _plain(found: NDArray[np.uint8] | NDArray[np.uint16], colour: bool, *, weighted: bool) -> NDArray[np.uint8]:
    """What ``imdecode`` gave -> 8 bits, no alpha, and three channels or one; ``weighted``: by alpha already."""
    out = cv2.convertScaleAbs(found, alpha=1 / 257) if found.dtype != np.uint8 else found
    if out.ndim == 3 and out.shape[2] in (2, 4):
        alpha = cv2.merge([out[..., -1]] * (out.shape[2] - 1))
        out = np.ascontiguousarray(out[..., :-1]).reshape(alpha.shape)
        if not weighted:
            cv2.multiply(out, alpha, out, 1 / 255)  # in place: a large picture is many megabytes
        cv2.add(out, cv2.bitwise_not(alpha, alpha), out)
    if out.ndim == 3 and out.shape[2] == 1:
        out = out[..., 0]
    if colour and out.ndim == 2:
        out = cv2.cvtColor(out, cv2.COLOR_GRAY2BGR)
    elif not colour and out.ndim == 3:
        out = cv2.cvtColor(out, cv2.COLOR_BGR2GRAY)
    return np.ascontiguousarray(out, dtype=np.uint8)


def _upright(image: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """The picture as EXIF says it is looked at: 1 as it lies, 2..8 mirrored, turned, or both."""
    if orientation in (5, 6, 7, 8):
        image = np.swapaxes(image, 0, 1)
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    return np.ascontiguousarray(image)


def _orientation(data: bytes) -> int:
    """EXIF's orientation of a PNG or WebP, 1 where it has none; OpenCV turns the other formats itself."""
    if data.startswith(b"\x89PNG"):
        start = data.find(b"eXIf", 0, len(data) if data.find(b"IDAT") < 0 else data.find(b"IDAT")) + 4
    else:
        start = data.rfind(b"EXIF") + 8 if data.startswith(b"RIFF") else 0
        start += 6 * (data[start : start + 6] == b"Exif\0\0")
    block = data[start:] if start >= 8 else b""
    if block[:4] not in (b"II*\0", b"MM\0*"):
        return 1
    try:
        return _tiff_numbers(block, {274}).get(274, 1)
    except (struct.error, IndexError):
        return 1


def _may_be_transparent(data: bytes) -> bool:
    """Whether alpha must be kept: PNG of colour type 4 or 6 or with ``tRNS``, WebP with its bit, GIF, some TIFF."""
    if data[:4] == b"GIF8":
        return True
    if data[:2] in (b"II", b"MM"):
        return 338 in _tiff_numbers(data, {338})  # extra samples
    if data.startswith(b"\x89PNG"):
        return data[25:26] in (b"\x04", b"\x06") or 0 <= data.find(b"tRNS") < data.find(b"IDAT")
    if data.startswith(b"RIFF"):
        return (data[12:16] == b"VP8X" and bool(data[20] & 0x10)) or (data[12:16] == b"VP8L" and bool(data[24] & 0x10))
    return False


def _png(data: bytes) -> tuple[int, int]:
    width, height = struct.unpack_from(">II", data, 16)
    if data[12:16] != b"IHDR":
        raise ValueError("IHDR is not first")
    return width, height


def _jpeg(data: bytes) -> tuple[int, int]:
    """Walk the segments to the frame header (SOF); it comes before any pixel."""
    at = 2
    while True:
        if data[at] != 0xFF:
            raise ValueError("no marker where one must be")
        while data[at] == 0xFF:  # fill bytes
            at += 1
        marker = data[at]
        at += 1
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", data, at + 3)
            return width, height
        if marker in (0xD9, 0xDA):
            raise ValueError("pixels before the frame header")
        if not (marker == 0x01 or 0xD0 <= marker <= 0xD8):  # those stand alone, the others state their length
            at += struct.unpack_from(">H", data, at)[0]


def _webp(data: bytes) -> tuple[int, int]:
    kind = data[8:16]
    if kind == b"WEBPVP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"WEBPVP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return (bits & 0x3FFF) + 1, ((bits >> 14) & 0x3FFF) + 1
    if kind == b"WEBPVP8X":
        if len(data) < 30:
            raise ValueError("cut short")
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    raise ValueError("a RIFF file that is not WebP")


def _bmp(data: bytes) -> tuple[int, int]:
    (size,) = struct.unpack_from("<I", data, 14)
    width, height = struct.unpack_from("<HH" if size == 12 else "<ii", data, 18)
    return width, abs(height)


def _gif(data: bytes) -> tuple[int, int]:
    width, height = struct.unpack_from("<HH", data, 6)
    return width, height


def _tiff(data: bytes) -> tuple[int, int]:
    size = _tiff_numbers(data, {256, 257})
    if len(size) != 2:
        raise ValueError("no width or height")
    return size[256], size[257]


def _tiff_numbers(data: bytes, tags: set[int]) -> dict[int, int]:
    """Tag -> its first number, of the first directory, which is the page that is decoded."""
    order = "<" if data[0:2] == b"II" else ">"
    (at,) = struct.unpack_from(order + "I", data, 4)
    (count,) = struct.unpack_from(order + "H", data, at)
    found = {}
    for entry in range(at + 2, at + 2 + 12 * count, 12):
        tag, kind = struct.unpack_from(order + "HH", data, entry)
        if tag in tags:
            found[tag] = struct.unpack_from(order + ("H" if kind == 3 else "I"), data, entry + 8)[0]
    return found


def _pnm(data: bytes) -> tuple[int, int]:
    """The first two numbers after the magic; ``#`` starts a comment up to the line's end."""
    words: list[bytes] = []
    for line in data[2:4096].splitlines():
        words += line.split(b"#")[0].split()
        if len(words) >= 2:
            return int(words[0]), int(words[1])
    raise ValueError("no width or height")


_HEADERS: tuple[tuple[bytes, Callable[[bytes], tuple[int, int]]], ...] = (
    (b"\x89PNG\r\n\x1a\n", _png),
    (b"\xff\xd8\xff", _jpeg),
    (b"RIFF", _webp),
    (b"BM", _bmp),
    (b"GIF87a", _gif),
    (b"GIF89a", _gif),
    (b"II*\0", _tiff),
    (b"MM\0*", _tiff),
    *((b"P%d" % kind, _pnm) for kind in range(1, 7)),
)
