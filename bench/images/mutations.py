"""Small pictures of every format that is read, and ways to damage them: the input of ``bench.images.hostile``.

Bit flips, cuts, repeated and exchanged parts, lengths and sizes that lie, tags that stand twice. Each mutation is made
from a numpy generator, so a seed and a number name it for good. Leaves out: judging what decoding makes of them.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from importlib.util import find_spec

import cv2
import numpy as np
from PIL import Image

__all__ = ["MUTATIONS", "mutated", "originals"]

_LIES = ((9_000, 9_000), (65_500, 1_500), (1, 65_535), (16_383, 6_000), (4_000, 3_000), (1, 1), (73, 57), (65_535,) * 2)


def originals(width: int = 72, height: int = 56) -> dict[str, bytes]:
    """Name -> encoded picture: every format, with each of its ways to store pixels that Pillow writes."""
    rng = np.random.default_rng(0)
    smooth = cv2.resize(rng.integers(0, 256, (7, 9, 4), dtype=np.uint8), (width, height), interpolation=cv2.INTER_CUBIC)
    picture = Image.fromarray(smooth[..., :3])
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "camera"
    turned = {"exif": exif}
    deep = Image.fromarray(smooth[..., 0].astype(np.uint16) * 257)
    clear = Image.fromarray(smooth)
    palette = picture.convert("P", palette=Image.Palette.ADAPTIVE)
    frames = {"save_all": True, "append_images": [picture.rotate(90 * i).resize(picture.size) for i in (1, 2)]}
    bitmap, grey = picture.convert("1"), picture.convert("L")
    made = {
        "png": _saved(picture, "PNG", **turned),
        "png-alpha": _saved(clear, "PNG"),
        "png-palette": _saved(palette, "PNG", transparency=3),
        "png-16": _saved(deep, "PNG"),
        "png-1": _saved(bitmap, "PNG"),
        "png-animated": _saved(picture, "PNG", **frames),
        "jpeg": _saved(picture, "JPEG", quality=90, **turned),
        "jpeg-progressive": _saved(picture, "JPEG", progressive=True),
        "jpeg-grey": _saved(grey, "JPEG"),
        "jpeg-cmyk": _saved(picture.convert("CMYK"), "JPEG"),
        "jpeg-mpo": _saved(picture, "MPO", **frames),
        "webp": _saved(picture, "WEBP", **turned),
        "webp-lossless": _saved(clear, "WEBP", lossless=True),
        "webp-animated": _saved(picture, "WEBP", **frames),
        "avif": _saved(picture, "AVIF", speed=10, **turned),
        "avif-alpha": _saved(clear, "AVIF", speed=10),
        "gif": _saved(palette, "GIF", transparency=3),
        "gif-animated": _saved(palette, "GIF", **frames),
        "bmp": _saved(picture, "BMP"),
        "bmp-palette": _saved(palette, "BMP"),
        "ppm": _saved(picture, "PPM"),
        "pgm-16": b"P5\n# deep\n%d %d\n65535\n" % picture.size + (smooth[..., 0].astype(">u2") * 257).tobytes(),
        "ppm-100": b"P6 %d %d 100\n" % picture.size + (smooth[..., :3] % 101).tobytes(),
        "pgm-text": b"P2 %d %d 255\n" % picture.size + b" ".join(b"%d" % v for v in smooth[..., 0].ravel()),
        "pbm": _saved(bitmap, "PPM"),
        "tiff": _saved(picture, "TIFF", **turned),
        "tiff-alpha": _saved(clear, "TIFF", compression="tiff_lzw"),
        "tiff-16": _saved(deep, "TIFF", compression="tiff_adobe_deflate"),
        **{
            f"tiff-{kind}": _saved(bitmap if kind == "group4" else picture, "TIFF", compression=kind)
            for kind in ("tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits", "group4")
        },
    }
    if find_spec("pillow_heif"):
        import pillow_heif

        buffer = io.BytesIO()
        pillow_heif.from_pillow(picture).save(buffer, quality=60)
        made["heic"] = buffer.getvalue()
    return made


def _saved(picture: Image.Image, kind: str, **how: object) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **how)
    return out.getvalue()


def mutated(data: bytes, size: tuple[int, int], rng: np.random.Generator) -> tuple[str, bytes]:
    """One to three mutations of ``data``, a picture of ``size`` (width, height), drawn by ``rng``; with their names."""
    names = []
    for _ in range(int(rng.choice([1, 1, 1, 2, 3]))):
        name = str(rng.choice(["size", *MUTATIONS]))
        data = (_size(data, size, rng) if name == "size" else MUTATIONS[name](data, rng)) or b"\0"
        names.append(name)
    if data.startswith(b"\x89PNG") and rng.random() < 0.7:
        data = _with_checksums(data)
    return "+".join(names), data


def _flip(data: bytes, rng: np.random.Generator) -> bytes:
    out = bytearray(data)
    within = len(out) if rng.random() < 0.5 else min(len(out), 200)  # headers are where the harm is
    for at in rng.integers(0, within, rng.integers(1, 9)):
        out[at] ^= 1 << int(rng.integers(8))
    return bytes(out)


def _overwrite(data: bytes, rng: np.random.Generator) -> bytes:
    """A few bytes become extreme: all zero, all one, or anything."""
    out = bytearray(data)
    at, count = int(rng.integers(0, len(out))), int(rng.integers(1, 9))
    filling = [bytes(count), b"\xff" * count, rng.bytes(count), b"\x7f" + b"\xff" * (count - 1)][rng.integers(4)]
    out[at : at + count] = filling
    return bytes(out)


def _cut(data: bytes, rng: np.random.Generator) -> bytes:
    return data[: int(rng.integers(0, len(data)))]


def _repeat(data: bytes, rng: np.random.Generator) -> bytes:
    """A part stands twice, or many times."""
    start = int(rng.integers(0, len(data)))
    end = start + int(rng.integers(1, 400))
    return data[:end] + data[start:end] * int(rng.choice([1, 1, 30])) + data[end:]


def _drop(data: bytes, rng: np.random.Generator) -> bytes:
    start = int(rng.integers(0, len(data)))
    return data[:start] + data[start + int(rng.integers(1, 200)) :]


def _length(data: bytes, rng: np.random.Generator) -> bytes:
    """The length of one part of the file (PNG chunk, JPEG segment, RIFF or ISO box, TIFF entry) lies."""
    places = _lengths(data)
    if not places:
        return _overwrite(data, rng)
    at, form = places[rng.integers(len(places))]
    most = 2 ** (8 * struct.calcsize(form)) - 1
    lie = int(rng.choice([0, 1, 4, most, most // 2, most - 8, len(data), 10 * len(data), 1 << 24, 1 << 29])) & most
    return data[:at] + struct.pack(form, lie) + data[at + struct.calcsize(form) :]


def _lengths(data: bytes) -> list[tuple[int, str]]:
    """Where lengths stand and as what number."""
    found: list[tuple[int, str]] = []
    marks: tuple[bytes, ...]
    if data.startswith(b"\x89PNG"):
        found = [(at, ">I") for at, _ in _png_chunks(data)]
    elif data.startswith(b"\xff\xd8"):
        found = [(i + 2, ">H") for i in range(2, len(data) - 4) if data[i] == 0xFF and 0xC0 <= data[i + 1] <= 0xFE]
    elif data.startswith(b"RIFF"):
        marks = (b"RIFF", b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF", b"EXIF")
        found = [(at + 4, "<I") for mark in marks if (at := data.find(mark)) >= 0]
    elif data[4:8] == b"ftyp":
        marks = (
            b"ftyp",
            b"meta",
            b"hdlr",
            b"iloc",
            b"iinf",
            b"iprp",
            b"ipco",
            b"ispe",
            b"av1C",
            b"hvcC",
            b"mdat",
            b"idat",
        )
        found = [(at - 4, ">I") for mark in marks if (at := data.find(mark)) >= 4]
    elif data[:2] in (b"II", b"MM"):
        found = [(at + 4, "<I") for at in _tiff_entries(data)]  # how many values
    return [(at, form) for at, form in found if 0 <= at <= len(data) - struct.calcsize(form)]


def _png_chunks(data: bytes) -> list[tuple[int, int]]:
    """Start and length of each chunk."""
    found, at = [], 8
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        found.append((at, length))
        at += 12 + length
    return found


def _with_checksums(data: bytes) -> bytes:
    """A PNG whose chunks have the checksums that they should have, so that damage gets past that door."""
    out = bytearray(data)
    for at, length in _png_chunks(data):
        if at + 12 + length <= len(data):
            struct.pack_into(">I", out, at + 8 + length, zlib.crc32(out[at + 4 : at + 8 + length]))
    return bytes(out)


def _tiff_entries(data: bytes) -> list[int]:
    """Where the entries of the first directory of a TIFF of Intel's order start."""
    if len(data) < 8:
        return []
    (at,) = struct.unpack_from("<I", data, 4)
    if at + 2 > len(data):
        return []
    (count,) = struct.unpack_from("<H", data, at)
    return [e for e in range(at + 2, at + 2 + 12 * min(count, 64), 12) if e + 12 <= len(data)]


def _twice(data: bytes, rng: np.random.Generator) -> bytes:
    """A TIFF's tag stands twice with two values; of other formats a part does."""
    entries = _tiff_entries(data) if data[:2] == b"II" else []
    if len(entries) < 2:
        return _repeat(data, rng)
    first, second = rng.choice(entries, 2, replace=False)
    out = bytearray(data)
    out[second : second + 12] = out[first : first + 12]
    struct.pack_into("<I", out, int(second) + 8, int(rng.choice([0, 1, 10, 9000, 12_000, 65_535, 1 << 31])))
    return bytes(out)


def _size(data: bytes, size: tuple[int, int], rng: np.random.Generator) -> bytes:
    """Width, height or both are others than the pixels that follow, up to the limit on pixels and beyond it."""
    out, wide, short = data, *_number_forms(data)
    for old, lie in zip(size, _LIES[rng.integers(len(_LIES))], strict=True):
        if data[:1] == b"P":
            out = out[:40].replace(b"%d" % old, b"%d" % lie, 1) + out[40:]
            continue
        for form, most in ((wide, 2**32 - 1), (short, 65_535)):
            out = out.replace(struct.pack(form, old), struct.pack(form, min(lie, most)))
        if data.startswith(b"RIFF"):  # a canvas less one, in three bytes
            out = out.replace((old - 1).to_bytes(3, "little"), (lie - 1).to_bytes(3, "little"), 1)
    return _with_checksums(out) if out.startswith(b"\x89PNG") else out


def _number_forms(data: bytes) -> tuple[str, str]:
    """How a format writes numbers of four and two bytes."""
    big = data.startswith((b"\x89PNG", b"\xff\xd8", b"MM")) or data[4:8] == b"ftyp"
    return (">I", ">H") if big else ("<I", "<H")


#: Name -> a way to damage a picture; one more, ``size``, has to know what size it is.
MUTATIONS: dict[str, Callable[[bytes, np.random.Generator], bytes]] = {
    "flip": _flip,
    "overwrite": _overwrite,
    "cut": _cut,
    "repeat": _repeat,
    "drop": _drop,
    "length": _length,
    "twice": _twice,
}
