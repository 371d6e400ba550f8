"""A picture, whatever it comes as -> pixels; Pillow reads the header and the pixels, so that one parser decides.

PNG, JPEG, WebP, AVIF, BMP, GIF, TIFF and PNM, and HEIC with the extra ``heif``. The size is checked when the header is
read, before pixels are. Of animations and of files with several pages the first picture is read. EXIF orientation is
applied; transparent pixels are laid on white; 16-bit values become 8-bit; colour profiles are not looked at. Whatever
the bytes, only a :class:`DataError` is raised and nothing is printed.
Leaves out: faces, which files of a folder are pictures (``picture_files``), and writing.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import io
import logging
import math
import os
import re
import threading
import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

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

_ORIENTATION = 0x0112  # the EXIF tag
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
_SILENT = logging.NullHandler()
_LIBTIFF = threading.Lock()  # its handlers of errors belong to the process
_STRIP = 1 << 16  # pixels that are converted at a time: larger pieces cost new memory, and more time
_FORMATS = (
    (b"\x89PNG\r\n\x1a\n", "Png", "PngImageFile"),
    (b"\xff\xd8\xff", "Jpeg", "JpegImageFile"),
    (b"RIFF", "WebP", "WebPImageFile"),
    (b"BM", "Bmp", "BmpImageFile"),
    (b"GIF87a", "Gif", "GifImageFile"),
    (b"GIF89a", "Gif", "GifImageFile"),
    (b"II*\0", "Tiff", "TiffImageFile"),
    (b"MM\0*", "Tiff", "TiffImageFile"),
    *((b"P%d" % kind, "Ppm", "PpmImageFile") for kind in range(1, 7)),
)

# More pixels than this for each byte of a file are a header that lies: the decoder would fill memory and then see it.
# A block of 8 x 8 takes a bit of a JPEG; LZW and deflate, which TIFF uses, pack 1,400 to one at most. The others, and
# fax in TIFF, can pack a blank sheet smaller than this, and nothing that shows a face.
_PIXELS_A_BYTE = {"JPEG": 512, "MPO": 512, "TIFF": 1400, "WEBP": 1000, "AVIF": 1000, "HEIF": 1000}
_ALWAYS = 4_000_000  # pixels that cost too little to ask
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
        with _reading("picture"):
            _check_size(image.size, "picture", max_pixels)
            return _pixels(image, "picture", colour=True)
    if isinstance(image, np.ndarray):
        return _from_array(image)
    if callable(getattr(image, "read", None)):
        return decode(_read_all(image), str(getattr(image, "name", "picture")), colour=True, max_pixels=max_pixels)
    kind = f"{type(image).__module__.split('.')[0]}.{type(image).__qualname__}".removeprefix("builtins.")
    remedy = ""
    if hasattr(image, "shape") and hasattr(image, "dtype"):
        remedy = "; of RGB x (3, H, W) in 0..1 make one: np.asarray(x * 255, 'uint8').transpose(1, 2, 0)[..., ::-1]"
    raise DataError(f"image must be a path, bytes, a file, a Pillow image or a numpy array, got {kind}{remedy}")


def read_image(
    path: str | os.PathLike[str], *, colour: bool, max_pixels: int = MAX_PIXELS, enough: int | None = None
) -> NDArray[np.uint8]:
    """Read a picture file as :func:`decode` does; a file of more than ``MAX_BYTES`` is not read to its end."""
    try:
        with open(path, "rb") as file:
            data = _read_all(file, str(path))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(f"cannot be read ({reason})", str(path)) from error
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
    with _reading(where):
        picture = _opened(data, where)
        webp = picture.format == "WEBP"  # whose decoder holds a picture four times
        _check_size(picture.size, where, max_pixels // 2 if webp else max_pixels)
        _check_claim(picture, where, len(data))
        if enough is not None and picture.format == "JPEG":
            picture.draft(None, (enough, enough))
        return _pixels(picture, where, colour=colour)


def dimensions(data: bytes, where: str = "") -> tuple[int, int]:
    """Width and height in pixels as the header states them, before EXIF turns the picture; nothing is decoded."""
    with _reading(where):
        return _opened(data, where).size


def is_picture(name: str | os.PathLike[str]) -> bool:
    """Whether a file's name claims a picture that can be read here; whether it is one, :func:`decode` tells."""
    name = Path(name)
    suffix = name.suffix.lower()
    known = suffix in SUFFIXES or (suffix in HEIF_SUFFIXES and find_spec("pillow_heif") is not None)
    return known and not name.name.startswith("._")  # side files of macOS carry the picture's name


def resize(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """``image`` at ``size`` x ``size``: by area where it shrinks, linear where it grows."""
    if image.shape[:2] == (size, size):
        return image
    shrinks = min(image.shape[:2]) > size
    out = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return np.asarray(out, dtype=np.uint8)


def _read_all(file: Any, where: str = "picture") -> bytes:
    """What a binary file holds, from its start where it can be gone back to."""
    if callable(getattr(file, "seekable", None)) and file.seekable():
        file.seek(0)
    data = file.read(MAX_BYTES + 1)
    if not isinstance(data, bytes):
        raise DataError(f"a file of pictures must give bytes, not {type(data).__name__}: open it with mode 'rb'", where)
    if len(data) > MAX_BYTES:
        raise DataError(f"is larger than {MAX_BYTES >> 20} MiB, the most that is read of a picture", where)
    return data


def _from_array(image: NDArray[Any]) -> NDArray[np.uint8]:
    """Pixels as they are given, checked, and three channels made of one."""
    if image.dtype != np.uint8:
        remedy = "; make it so: (image * 255).astype('uint8'), if 1 is white" * (image.dtype.kind == "f")
        raise DataError(f"image must be uint8, 0..255, got {image.dtype} {image.shape}{remedy}")
    if image.ndim == 3 and image.shape[2] == 4:
        raise DataError(f"image must have no alpha channel, got {image.shape}: cv2.cvtColor(image, cv2.COLOR_BGRA2BGR)")
    if not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] in (1, 3))) or not image.size:
        raise DataError(f"image must be (H, W) grey or (H, W, 3) BGR and not empty, got {image.shape}")
    grey = image.ndim == 2 or image.shape[2] == 1
    return np.ascontiguousarray(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR) if grey else image)


@contextlib.contextmanager
def _reading(where: str) -> Iterator[None]:
    """Make a DataError of whatever Pillow raises, and keep it from warning: damaged pictures cause both."""
    quiet = ("ignore", None, Warning, re.compile(r"PIL\."), 0)
    logging.getLogger("PIL").addHandler(_SILENT)  # else Python prints what Pillow logs where nobody set up logging
    filters = cast("list[Any]", warnings.filters)
    filters.insert(0, quiet)  # not catch_warnings, which threads would undo for one another
    try:
        yield
    except DataError:
        raise
    except Exception as error:  # of a dozen kinds: OSError, SyntaxError, struct.error, KeyError, MemoryError ...
        cut = isinstance(error, EOFError) or "truncated" in str(error).lower()
        raise DataError("the picture is cut short" if cut else "the picture is damaged", where) from error
    finally:
        with contextlib.suppress(ValueError):  # somebody has put other filters in their place
            filters.remove(quiet)


def _opened(data: bytes, where: str) -> ImageFile.ImageFile:
    """The picture with its header read, by the parser that will read its pixels."""
    if not data:
        raise DataError("the picture is empty (0 bytes)", where)
    found = next(((module, name) for magic, module, name in _FORMATS if data.startswith(magic)), None) or _iso(data)
    if found is None:
        raise DataError("not a picture that can be read: PNG, JPEG, WebP, AVIF, BMP, GIF, TIFF or PNM is needed", where)
    name, reader = found
    if name == "Heif" and find_spec("pillow_heif") is None:
        raise DataError("HEIC photos need one package more: pip install 'mien[heif]'", where)
    module = importlib.import_module("pillow_heif" if name == "Heif" else f"PIL.{name}ImagePlugin")
    if not getattr(module, "SUPPORTED", True):
        raise DataError(f"Pillow was built without {name} here: pip install --force-reinstall pillow", where)
    try:
        return cast("ImageFile.ImageFile", getattr(module, reader)(io.BytesIO(data)))
    except Exception as error:
        raise DataError("the picture's header is damaged or cut short", where) from error


def _iso(data: bytes) -> tuple[str, str] | None:
    """AVIF or HEIC by the brands of an ISO file's first box; None for another, such as a video."""
    if data[4:8] != b"ftyp":
        return None
    box = data[8 : min(128, int.from_bytes(data[:4], "big"))]
    brands = {box[i : i + 4] for i in range(0, len(box), 4)}
    if brands & {b"avif", b"avis"}:
        return "Avif", "AvifImageFile"
    return ("Heif", "HeifImageFile") if brands & _HEIF_BRANDS else None


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


def _pixels(picture: Image.Image, where: str, *, colour: bool) -> NDArray[np.uint8]:
    """What Pillow opened -> uint8 ``(H, W, 3)`` BGR or ``(H, W)``, upright; by strips, so that nothing lies twice."""
    if picture.mode in ("F", "I") and picture.format not in ("PNG", "PPM"):
        raise DataError("the picture is of a rare kind, values of 32 bits; save it with 8 bits", where)
    with _silent_libtiff() if picture.format == "TIFF" else contextlib.nullcontext():
        picture = _plain_pnm(picture) if picture.format == "PPM" else picture
        picture.load()
    width, height = picture.size
    out = np.empty((height, width, 3) if colour else (height, width), np.uint8)
    rows = max(1, _STRIP // width)
    for top in range(0, height, rows):
        part = picture.crop((0, top, width, min(top + rows, height)))
        strip = _strip(part)
        if colour and strip.ndim == 2:
            strip = cv2.cvtColor(strip, cv2.COLOR_GRAY2BGR)
        elif not colour and strip.ndim == 3:
            strip = cv2.cvtColor(strip, cv2.COLOR_BGR2GRAY)
        out[top : top + rows] = strip
    return _upright(out, _orientation(picture))


@contextlib.contextmanager
def _silent_libtiff() -> Iterator[None]:
    """Keep Pillow's libtiff from printing on stderr; one TIFF at a time, and what was set before is set again.

    Its two functions are found through Pillow's own module. Where they are not exported, it prints.
    """
    library = ctypes.CDLL(importlib.import_module("PIL._imaging").__file__)
    setters = [f for name in ("TIFFSetErrorHandler", "TIFFSetWarningHandler") if (f := getattr(library, name, None))]
    for setter in setters:
        setter.restype, setter.argtypes = ctypes.c_void_p, (ctypes.c_void_p,)
    with _LIBTIFF:
        before = [setter(None) for setter in setters]
        try:
            yield
        finally:
            for setter, handler in zip(setters, before, strict=True):
                setter(handler)


def _plain_pnm(picture: Any) -> Image.Image:
    """PNM whose white is neither 255 nor 65535, as 8 bits: Pillow would take it value by value, in Python."""
    tile: Any = picture.tile[0] if getattr(picture, "tile", None) else ("",)
    if tile[0] != "ppm":
        return cast("Image.Image", picture)
    (_, white), shape = tile[3], (picture.height, picture.width, 3)[: 3 if picture.mode == "RGB" else 2]
    table = np.minimum(np.round(np.arange(1 << 16) * 255 / white), 255).astype(np.uint8)
    values = np.frombuffer(picture.fp.getvalue(), ">u2" if white > 255 else "u1", math.prod(shape), tile[2])
    return Image.fromarray(table[values].reshape(shape))


def _strip(part: Image.Image) -> NDArray[np.uint8]:
    """A part of a picture -> BGR, or grey where it has no colours; alpha on white, 16 bits as 8."""
    if part.mode.startswith("I"):
        deep = np.asarray(part).astype(np.uint16)
        return np.asarray(cv2.convertScaleAbs(deep, alpha=1 / 257), np.uint8)
    if part.has_transparency_data:
        values = _array(part if part.mode == "RGBA" else part.convert("RGBA"), "RGBA", 4)
        alpha = cv2.merge([values[..., 3]] * 3)
        out = cv2.multiply(cv2.cvtColor(values, cv2.COLOR_RGBA2BGR), alpha, scale=1 / 255)
        return np.asarray(cv2.add(out, cv2.bitwise_not(alpha)), np.uint8)
    if part.mode in ("1", "L"):
        return _array(part.convert("L"), "L", 1)[..., 0]
    values = _array(part if part.mode == "RGB" else part.convert("RGB"), "RGBX", 4)
    return np.asarray(cv2.cvtColor(values, cv2.COLOR_RGBA2BGR), np.uint8)


def _array(part: Image.Image, layout: str, channels: int) -> NDArray[np.uint8]:
    return np.frombuffer(part.tobytes("raw", layout), np.uint8).reshape(part.height, part.width, channels)


def _orientation(picture: Image.Image) -> int:
    """EXIF's orientation, 1 where there is none or it is damaged."""
    try:
        return int(picture.getexif().get(_ORIENTATION, 1))
    except Exception:  # the pixels are whole; the record about them has as many ways to be damaged as a picture
        return 1


def _upright(image: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """The picture as EXIF says it is looked at: 1 as it lies, 2..8 mirrored, turned, or both."""
    if orientation in (5, 6, 7, 8):
        image = np.swapaxes(image, 0, 1)
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    return np.ascontiguousarray(image)
