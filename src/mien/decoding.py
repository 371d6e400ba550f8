"""Pillow's part of reading a picture: the header and the pixels by one parser, in silence, with one kind of error.

Its readers are called one by one, without ``Image.open``, which warns of what it thinks large.
Leaves out: limits, files and other forms of pictures (``images``).
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import io
import logging
import math
import re
import threading
import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from mien.errors import DataError

__all__ = ["has_heif", "opened", "pixels", "reading"]

_ORIENTATION = 0x0112  # the EXIF tag
_ON_ITS_SIDE = (5, 6, 7, 8)  # of its values
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


@contextlib.contextmanager
def reading(where: str) -> Iterator[None]:
    """Make a DataError of whatever Pillow raises, and keep it from warning: damaged pictures cause both."""
    quiet = ("ignore", None, Warning, re.compile(r"PIL\.|pillow_heif"), 0)
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


def opened(data: bytes, where: str) -> ImageFile.ImageFile:
    """The picture with its header read, by the parser that will read its pixels."""
    if not data:
        raise DataError("the picture is empty (0 bytes)", where)
    found = next(((module, name) for magic, module, name in _FORMATS if data.startswith(magic)), None) or _iso(data)
    if found is None:
        raise DataError("not a picture that can be read: PNG, JPEG, WebP, AVIF, BMP, GIF, TIFF or PNM is needed", where)
    name, reader = found
    if name == "Heif" and not has_heif():
        raise DataError("HEIC photos need one package more: pip install pillow-heif", where)
    module = importlib.import_module("pillow_heif" if name == "Heif" else f"PIL.{name}ImagePlugin")
    if not getattr(module, "SUPPORTED", True):
        raise DataError(f"Pillow was built without {name} here: pip install --force-reinstall pillow", where)
    try:
        return cast("ImageFile.ImageFile", getattr(module, reader)(io.BytesIO(data)))
    except Exception as error:
        raise DataError("the picture's header is damaged or cut short", where) from error


def has_heif() -> bool:
    """Whether HEIC can be read here."""
    return find_spec("pillow_heif") is not None


def _iso(data: bytes) -> tuple[str, str] | None:
    """AVIF or HEIC by the brands of an ISO file's first box; None for another, such as a video."""
    if data[4:8] != b"ftyp":
        return None
    box = data[8 : min(128, int.from_bytes(data[:4], "big"))]
    brands = {box[i : i + 4] for i in range(0, len(box), 4)}
    if brands & {b"avif", b"avis"}:
        return "Avif", "AvifImageFile"
    return ("Heif", "HeifImageFile") if brands & _HEIF_BRANDS else None


def pixels(picture: Image.Image, where: str, *, colour: bool) -> NDArray[np.uint8]:
    """What Pillow opened -> uint8 ``(H, W, 3)`` BGR or ``(H, W)``, upright; by strips, so that nothing lies twice."""
    if picture.mode in ("F", "I") and picture.format not in ("PNG", "PPM"):
        raise DataError("the picture is of a rare kind, values of 32 bits; save it with 8 bits", where)
    with _silent_libtiff() if picture.format == "TIFF" else contextlib.nullcontext():
        picture = _plain_pnm(picture) if picture.format == "PPM" else picture
        picture.load()
    (width, height), orientation = picture.size, _orientation(picture)
    shape = (width, height) if orientation in _ON_ITS_SIDE else (height, width)
    out = np.empty((*shape, 3)[: 3 if colour else 2], np.uint8)
    rows = max(1, _STRIP // width)
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        strip = _strip(picture.crop((0, top, width, bottom)))
        if colour and strip.ndim == 2:
            strip = np.asarray(cv2.cvtColor(strip, cv2.COLOR_GRAY2BGR), np.uint8)
        elif not colour and strip.ndim == 3:
            strip = np.asarray(cv2.cvtColor(strip, cv2.COLOR_BGR2GRAY), np.uint8)
        _place(out, strip, top, bottom, height, orientation)
    return out


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
    picture.fp.seek(0)
    values = np.frombuffer(picture.fp.read(), ">u2" if white > 255 else "u1", math.prod(shape), tile[2])
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


def _place(out: NDArray[np.uint8], strip: NDArray[np.uint8], top: int, bottom: int, height: int, turn: int) -> None:
    """Put rows ``top`` to ``bottom`` of a picture ``height`` high into the upright ``out``, as EXIF's ``turn`` says."""
    across, down, on_its_side = turn in (2, 3, 6, 7), turn in (3, 4, 7, 8), turn in _ON_ITS_SIDE
    if on_its_side:
        strip = np.asarray(cv2.transpose(strip), np.uint8)
    if across or down:
        strip = np.asarray(cv2.flip(strip, -1 if across and down else int(across)), np.uint8)
    if across if on_its_side else down:
        top, bottom = height - bottom, height - top
    if on_its_side:
        out[:, top:bottom] = strip
    else:
        out[top:bottom] = strip
