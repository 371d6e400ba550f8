"""One picture file as grey pixels, with its dimensions read from the header before anything is decoded.

PNG, JPEG, BMP, WebP and TIFF. Leaves out: finding the files (``folders``) and writing them (``images``).
"""

from __future__ import annotations

import struct
from pathlib import PurePosixPath

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError

__all__ = ["decode", "dimensions", "is_picture", "resize"]

MAX_BYTES = 256 << 20  # of one picture file
MAX_PIXELS = 100_000_000
_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff")


def is_picture(name: str) -> bool:
    """Whether a file's name claims a picture; whether it is one, :func:`decode` tells."""
    return PurePosixPath(name).suffix.lower() in _SUFFIXES


def decode(data: bytes, where: str) -> NDArray[np.uint8]:
    """uint8 ``(H, W)`` of a picture file; colours become grey (BT.601), rotation marks are obeyed.

    Raises :class:`DataError` for what is no picture, damaged, or larger than 100 megapixels, by its header.
    """
    size = dimensions(data)
    if size is None:
        raise DataError("is no picture (PNG, JPEG, BMP, WebP or TIFF) or its header is damaged; remove it", where)
    if 0 in size or size[0] * size[1] > MAX_PIXELS:
        raise DataError(
            f"is {size[0]:,} x {size[1]:,} pixels by its header; 1 to {MAX_PIXELS:,} in all are read: make it smaller",
            where,
        )
    try:
        image = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_GRAYSCALE)
    except cv2.error:
        image = None
    if image is None or image.size == 0:
        raise DataError("the picture is damaged and cannot be decoded; remove it or get it again", where)
    return np.asarray(image, dtype=np.uint8)


def resize(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """``image`` at ``size`` x ``size``: by area where it shrinks, linear where it grows."""
    if image.shape == (size, size):
        return image
    shrinks = min(image.shape) > size
    out = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return np.asarray(out, dtype=np.uint8)


def dimensions(data: bytes) -> tuple[int, int] | None:
    """Width and height by the header of a picture file; ``None`` where it is no such file."""
    try:
        if data.startswith(b"\x89PNG\r\n\x1a\n"):
            return struct.unpack(">II", data[16:24])
        if data.startswith(b"BM"):
            return _bmp(data)
        if data.startswith(b"\xff\xd8"):
            return _jpeg(data)
        if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
            return _webp(data)
        if data[:4] in (b"II*\0", b"MM\0*"):
            return _tiff(data)
    except (struct.error, IndexError):
        return None
    return None


def _bmp(data: bytes) -> tuple[int, int]:
    if struct.unpack("<I", data[14:18])[0] == 12:  # the header of OS/2
        return struct.unpack("<HH", data[18:22])
    width, height = struct.unpack("<ii", data[18:26])
    return abs(width), abs(height)  # a negative height means top row first


def _jpeg(data: bytes) -> tuple[int, int] | None:
    at = 2
    while at < len(data):
        if data[at] != 0xFF:
            return None
        marker = data[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # a start of frame
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return width, height
        elif marker in (0x01, *range(0xD0, 0xD9)):  # markers without a body
            at += 2
        else:
            at += 2 + struct.unpack(">H", data[at + 2 : at + 4])[0]
    return None


def _webp(data: bytes) -> tuple[int, int] | None:
    chunk = data[12:16]
    if chunk == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if chunk == b"VP8L":
        bits = struct.unpack("<I", data[21:25])[0]
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if chunk == b"VP8 ":
        width, height = struct.unpack("<HH", data[26:30])
        return width & 0x3FFF, height & 0x3FFF
    return None


def _tiff(data: bytes) -> tuple[int, int] | None:
    order = "<" if data[:2] == b"II" else ">"
    start = struct.unpack(order + "I", data[4:8])[0]
    found = {}
    for i in range(struct.unpack(order + "H", data[start : start + 2])[0]):
        entry = data[start + 2 + 12 * i : start + 14 + 12 * i]
        tag, kind = struct.unpack(order + "HH", entry[:4])
        if tag in (256, 257):
            found[tag] = struct.unpack(order + ("H" if kind == 3 else "I"), entry[8 : 10 if kind == 3 else 12])[0]
    return (found[256], found[257]) if len(found) == 2 else None
