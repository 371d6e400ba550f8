"""A picture, whatever it comes as -> pixels, held to the limits on its file, its size and what its header claims.

PNG, JPEG, WebP, AVIF, BMP, GIF, TIFF and PNM, and HEIC with the extra ``heif``. The size is checked when the header is
read, before pixels are. Of animations and of files with several pages the first picture is read. EXIF orientation is
applied; transparent pixels are laid on white; 16-bit values become 8-bit; colour profiles are not looked at. Whatever
the bytes, only a :class:`DataError` is raised and nothing is printed.
Leaves out: how Pillow is used (``decoding``), faces, which files of a folder are pictures (``picture_files``), and
writing.
"""

from __future__ import annotations

import inspect
import io
import os
import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from mien.decoding import has_heif, opened, pixels, reading
from mien.errors import DataError

__all__ = [
    "HEIF_SUFFIXES",
    "MAX_BYTES",
    "MAX_PIXELS",
    "MAX_SIDE",
    "SUFFIXES",
    "as_picture",
    "decode",
    "dimensions",
    "is_picture",
    "read_image",
    "resize",
]

#: The largest picture file that is read.
MAX_BYTES = 256 << 20

#: The largest picture that is decoded: 100 million pixels, a sheet of 10,000 x 10,000.
MAX_PIXELS = 100_000_000

#: The longest side of a picture that is decoded: a row costs memory, however short it is.
MAX_SIDE = 100_000

#: File endings of the formats that :func:`decode` reads, lower case, for those who look through folders.
SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".avif"),
    *(".bmp", ".gif", ".tif", ".tiff", ".pgm", ".ppm", ".pbm"),
)

#: Those of HEIC photos, which are read where the extra ``heif`` is installed.
HEIF_SUFFIXES = (".heic", ".heif", ".hif")

# More pixels than this for each byte of a file are a header that lies: the decoder would fill memory and then see it.
# A block of 8 x 8 takes a bit of a JPEG; LZW and deflate, which TIFF uses, pack 1,400 to one at most. The others, and
# fax in TIFF, can pack a blank sheet smaller than this, and nothing that shows a face.
_PIXELS_A_BYTE = {"JPEG": 512, "TIFF": 1400, "WEBP": 1000, "AVIF": 1000, "HEIF": 1000}
_ALWAYS = 4_000_000  # pixels that cost too little to ask
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://|data:", re.IGNORECASE)  # one letter is a disk of Windows
_TEXT_PIXELS = 1_000_000  # of a PNM picture written as text, which is slow to read


def as_picture(image: Any, *, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """A picture in any of the usual forms -> uint8 ``(H, W, 3)`` BGR.

    image  a path, encoded bytes, a binary file object (``read``), a Pillow image (EXIF orientation applied), or pixels
           uint8 ``(H, W)`` grey, ``(H, W, 1)`` or ``(H, W, 3)`` BGR, as OpenCV has them
    """
    if isinstance(image, bytes | bytearray | memoryview):
        return decode(bytes(image), "picture", colour=True, max_pixels=max_pixels)
    if isinstance(image, str | os.PathLike):
        return read_image(image, colour=True, max_pixels=max_pixels)
    if isinstance(image, Image.Image):
        with reading("picture"):
            _check_size(image.size, "picture", max_pixels)
            return pixels(image, "picture", colour=True)
    if isinstance(image, np.ndarray):
        return _from_array(image)
    if callable(getattr(image, "read", None)):
        name = str(getattr(image, "name", "picture"))
        return decode(_read_all(image, name), name, colour=True, max_pixels=max_pixels)
    kind = f"{type(image).__module__.split('.')[0]}.{type(image).__qualname__}".removeprefix("builtins.")
    remedy = ""
    if image is None:
        remedy = "; cv2.imread gives None for a file that it cannot read"
    elif hasattr(image, "shape") and hasattr(image, "dtype"):
        remedy = "; of RGB x (3, H, W) in 0..1 make one: np.asarray(x * 255, 'uint8').transpose(1, 2, 0)[..., ::-1]"
    raise DataError(f"image must be a path, bytes, a file, a Pillow image or a numpy array, got {kind}{remedy}")


def read_image(
    path: str | os.PathLike[str], *, colour: bool, max_pixels: int = MAX_PIXELS, enough: int | None = None
) -> NDArray[np.uint8]:
    """Read a picture file as :func:`decode` does; a file of more than ``MAX_BYTES`` is not read to its end."""
    try:
        with open(path, "rb") as file:
            data = _read_all(file, str(path), os.fstat(file.fileno()).st_size)
    except (OSError, ValueError) as error:
        if _ADDRESS.match(str(path)):
            raise DataError(
                "this is an address, not a file: fetch it first and give its bytes", str(path)[:80]
            ) from error
        raise _unreadable(error, str(path)) from error
    return decode(data, str(path), colour=colour, max_pixels=max_pixels, enough=enough)


def decode(
    data: bytes, where: str, *, colour: bool, max_pixels: int = MAX_PIXELS, enough: int | None = None
) -> NDArray[np.uint8]:
    """Decode a picture: uint8 ``(H, W, 3)`` BGR with ``colour``, else ``(H, W)`` grey.

    where       names the picture in the DataError that an empty, unknown, damaged or gigantic picture raises
    max_pixels  the most pixels of a picture, checked before they are decoded; of a WebP half as many
    enough      the shorter side in pixels that the caller needs: a larger JPEG is decoded at a half, a quarter or an
                eighth, which is faster. None decodes the picture as it is
    """
    with reading(where):
        picture = opened(data, where)
        webp = picture.format == "WEBP"  # whose decoder holds a picture four times
        _check_size(picture.size, where, max_pixels // 2 if webp else max_pixels)
        _check_claim(picture, where, len(data))
        if enough is not None and picture.format == "JPEG":
            picture.draft(None, (enough, enough))
        return pixels(picture, where, colour=colour)


def dimensions(data: bytes, where: str = "") -> tuple[int, int]:
    """Width and height in pixels as the header states them, before EXIF turns the picture; nothing is decoded."""
    with reading(where):
        return opened(data, where).size


def is_picture(name: str | os.PathLike[str]) -> bool:
    """Whether a file's name claims a picture that can be read here; whether it is one, :func:`decode` tells."""
    name = Path(name)
    suffix = name.suffix.lower()
    known = suffix in SUFFIXES or (suffix in HEIF_SUFFIXES and has_heif())
    return known and not name.name.startswith("._")  # side files of macOS carry the picture's name


def resize(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """``image`` at ``size`` x ``size``: by area where it shrinks, linear where it grows."""
    if image.shape[:2] == (size, size):
        return image
    shrinks = min(image.shape[:2]) > size
    out = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return np.asarray(out, dtype=np.uint8)


def _read_all(file: Any, where: str, size: int = 0) -> bytes:
    """What a binary file holds, from its start where it can be gone back to; ``size`` in bytes, where it is known."""
    if isinstance(file, io.TextIOBase):
        raise DataError("a file of text is no picture: open it with mode 'rb'", where)
    try:
        if callable(getattr(file, "seekable", None)) and file.seekable():
            file.seek(0)
        data = b"" if size > MAX_BYTES else file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # closed, or gone meanwhile
        raise _unreadable(error, where) from error
    if inspect.iscoroutine(data):  # such as FastAPI's UploadFile
        data.close()
        raise DataError("its read() is asynchronous: give the bytes, of an UploadFile await upload.read()", where)
    if not isinstance(data, bytes | bytearray | memoryview):
        raise DataError(f"reading must give bytes, got {type(data).__name__}", where)
    if max(size, len(data)) > MAX_BYTES:
        raise DataError(f"is larger than {MAX_BYTES >> 20} MiB, the most that is read of a picture", where)
    return bytes(data)


def _unreadable(error: Exception, where: str) -> DataError:
    return DataError(f"cannot be read ({getattr(error, 'strerror', None) or error})", where)


def _from_array(image: NDArray[Any]) -> NDArray[np.uint8]:
    """Pixels as they are given, checked, and three channels made of one."""
    if image.dtype != np.uint8:
        raise DataError(f"image must be uint8, 0..255, got {image.dtype} {image.shape}{_as_uint8(image)}")
    if image.ndim == 4:
        raise DataError(f"image must be one picture, got {image.shape}: predict_many takes several")
    if image.ndim == 3 and image.shape[2] == 4:
        raise DataError(f"image must have no alpha channel, got {image.shape}: cv2.cvtColor(image, cv2.COLOR_BGRA2BGR)")
    if not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] in (1, 3))) or not image.size:
        remedy = ": image.transpose(1, 2, 0)" * (image.ndim == 3 and image.shape[0] in (1, 3) and image.size > 0)
        raise DataError(f"image must be (H, W) grey or (H, W, 3) BGR and not empty, got {image.shape}{remedy}")
    grey = image.ndim == 2 or image.shape[2] == 1
    return np.ascontiguousarray(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR) if grey else image)


def _as_uint8(image: NDArray[Any]) -> str:
    """How pixels of another type become uint8, by the values that they have."""
    most = image.max() if image.size and image.dtype.kind in "fiub" else np.nan
    for white, how in ((1, "(image * 255).astype('uint8')"), (255, "image.astype('uint8')")):
        if 0 <= most <= white:
            return f"; make it so: {how}, if {white} is white"
    return "; make it so: (image // 256).astype('uint8'), if 65535 is white" * (image.dtype == np.uint16)


def _check_size(size: tuple[int, int], where: str, most: int) -> None:
    width, height = size
    if width < 1 or height < 1:
        raise DataError(f"the picture's header says {width} x {height} pixels", where)
    if width * height > most:
        raise DataError(f"{width} x {height} pixels are over the limit of {most:,}; make it smaller", where)
    if max(width, height) > MAX_SIDE:
        raise DataError(f"{width} x {height} pixels: a side is over the limit of {MAX_SIDE:,}; make it smaller", where)


def _check_claim(picture: ImageFile.ImageFile, where: str, count: int) -> None:
    """Refuse a header that claims more pixels than ``count`` bytes can hold or can be read from them in good time."""
    width, height = picture.size
    each = _PIXELS_A_BYTE.get(picture.format or "", width * height)
    if width * height > max(_ALWAYS, count * each):
        raise DataError(f"the header claims {width} x {height} pixels in {count:,} bytes, which is not believed", where)
    if picture.tile and picture.tile[0][0] == "ppm_plain" and width * height > _TEXT_PIXELS:
        raise DataError(f"{width} x {height} pixels as text are too many; save it as binary PNM or as PNG", where)
