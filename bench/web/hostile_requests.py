"""Requests that nobody should send: mutated pictures, bombs, broken forms, odd headers, slow bodies, sudden ends.

Each is made from one seed, so that a run can be repeated.
Leaves out: what the server does under them (``bench.web.hostile`` measures it, ``tests/web`` checks it).
"""

from __future__ import annotations

import contextlib
import io
import random
import socket
import struct
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image

__all__ = ["KINDS", "Outcome", "Request", "formats", "make", "send"]

_HEADERS = (
    "Host",
    "Origin",
    "Referer",
    "Content-Type",
    "Content-Length",
    "Transfer-Encoding",
    "X-Forwarded-For",
    "Expect",
)
_VALUES: tuple[str, ...] = (
    "",
    "[",
    "http://[",
    "null",
    "\xff\xfe",
    "%00",
    "9" * 19,
    "-1",
    "0x10",
    "x" * 3000,
    ";=,",
    "chunked, gzip",
)
_VALUES += (
    "multipart/form-data; boundary=\xff",
    "multipart/form-data; boundary*=utf-8''%ff",
    "image/",
    "evil.example",
    "a:b:c",
)
_BODIES = (
    b"",
    b"{}",
    b"nonsense",
    b"--edge--\r\n",
    b"--edge\r\n\r\n",
    b"\r\n" * 500,
    b"--edge\r\n" + b"A: b\r\n" * 2000,
)
_PICTURE_TYPE, _FORM_TYPE = b"image/png", b"multipart/form-data; boundary=edge"


@dataclass(frozen=True)
class Request:
    """Bytes to send; ``pause`` seconds lie between the pieces; one that ``leaves`` does not listen to the answer."""

    kind: str
    pieces: tuple[bytes, ...]
    pause: float = 0.0
    leaves: bool = False


@dataclass(frozen=True)
class Outcome:
    """Its status, 0 where the server closed without a word, and seconds until then."""

    kind: str
    status: int
    seconds: float


def formats(photo: bytes) -> dict[str, bytes]:
    """A photo as a small file of each format, in colour and with alpha where there is any."""
    whole = Image.open(io.BytesIO(photo)).convert("RGB")
    whole.thumbnail((120, 120))
    found = {}
    for kind in ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF"):
        with contextlib.suppress(KeyError, OSError):  # a Pillow without AVIF
            out = io.BytesIO()
            whole.save(out, kind)
            found[kind] = out.getvalue()
    for kind in ("PNG", "WEBP", "TIFF"):
        out = io.BytesIO()
        whole.convert("RGBA").save(out, kind)
        found[f"{kind} with alpha"] = out.getvalue()
    return found


def make(seed: int, pictures: dict[str, bytes]) -> Request:
    """Request number ``seed``."""
    chance = random.Random(seed)
    kind = chance.choices(list(KINDS), [share for share, _ in KINDS.values()])[0]
    return KINDS[kind][1](chance, pictures)


def send(request: Request, port: int, timeout: float = 60.0) -> Outcome:
    """Send it to a server on this machine and hear the answer out."""
    begun = time.perf_counter()
    status = 0
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=timeout) as wire:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # refused before all was sent: it has answered
            for piece in request.pieces:
                wire.sendall(piece)
                time.sleep(request.pause)
        if not request.leaves:
            head = wire.recv(65536)
            status = int(head.split(b" ", 2)[1]) if head.startswith(b"HTTP/1.1 ") else 0
            while wire.recv(65536):
                pass
    return Outcome(request.kind, status, time.perf_counter() - begun)


def _post(body: bytes, kind: bytes = _PICTURE_TYPE, query: bytes = b"") -> bytes:
    head = b"POST /v1/predict%s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: %s\r\n" % (
        query,
        kind,
    )
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


def _form(*files: bytes) -> bytes:
    part = b'--edge\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\n%s\r\n'
    return b"".join(part % data for data in files) + b"--edge--\r\n"


def _mutated(chance: random.Random, data: bytes) -> bytes:
    """Bits flipped, cut, numbers made huge, pieces doubled."""
    out = bytearray(data)
    for _ in range(chance.choice((1, 2, 8, 20))):
        at = chance.randrange(max(1, min(len(out) - 8, chance.choice((64, 400, 10**9)))))
        how = chance.randrange(5)
        if how == 0:
            out[at] ^= 1 << chance.randrange(8)
        elif how == 1:
            del out[max(20, at) :]
        elif how == 2:
            out[at : at + 4] = chance.choice((b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\0", b"\0\0\xff\xff"))
        elif how == 3:
            out[at:at] = out[at : at + chance.choice((12, 100, 1000))]
        else:
            out[at] = chance.randrange(256)
    return bytes(out)


def _picture(chance: random.Random, pictures: dict[str, bytes]) -> Request:
    good = chance.choice(list(pictures.values()))
    bad = _mutated(chance, good)
    query = chance.choice((b"", b"", b"", b"?pictures=true"))
    if chance.random() < 0.15:
        return Request("mutated picture", (_post(_form(bad, good), _FORM_TYPE, query),))
    return Request("mutated picture", (_post(bad, query=query),))


def _png(width: int, height: int, rows: bytes) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def _claim(chance: random.Random, pictures: dict[str, bytes]) -> Request:
    """A few bytes that claim up to billions of pixels, or a chunk of gigabytes."""
    side = chance.choice((7_000, 40_000, 2**31 - 1))
    data = _png(side, chance.choice((1, 7_000, side)), zlib.compress(b"\0" * 1000))
    if chance.random() < 0.5:
        data = pictures["PNG"].replace(b"IDAT", b"IDAT", 1)
        at = data.index(b"IDAT") - 4
        data = data[:at] + struct.pack(">I", chance.choice((2**32 - 1, 2**31 - 1, 2**30))) + data[at + 4 :]
    return Request("claimed size", (_post(data),))


_BOMBS: dict[int, bytes] = {}


def _bomb(chance: random.Random, pictures: dict[str, bytes]) -> Request:
    """A sound transparent picture of 20 to 50 million pixels in some 100 kB."""
    side = chance.choice((4_500, 6_000, 7_000))
    if side not in _BOMBS:
        row = b"\0" * (1 + 4 * side)
        packer = zlib.compressobj(9)
        _BOMBS[side] = _png(side, side, b"".join([*(packer.compress(row) for _ in range(side)), packer.flush()]))
    return Request("bomb", (_post(_BOMBS[side]),))


def _odd_body(chance: random.Random, pictures: dict[str, bytes]) -> Request:
    body = chance.choice((*_BODIES, _form(*[b""] * 17), _form(pictures["PNG"])[:-20], chance.randbytes(200)))
    kind = chance.choice((_FORM_TYPE, _PICTURE_TYPE, b"application/json", b"text/plain", b"multipart/form-data"))
    return Request("odd body", (_post(body, kind, chance.choice((b"", b"?pictures=maybe", b"?pictures=%00"))),))


def _odd_header(chance: random.Random, pictures: dict[str, bytes]) -> Request:
    lines = {"Host": "localhost", "Content-Type": "image/png", "Content-Length": "3"}
    for _ in range(chance.choice((1, 1, 2))):
        lines[chance.choice(_HEADERS)] = chance.choice(_VALUES)
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items()).encode("latin-1")
    path = chance.choice(("/v1/predict", "/v1/predict", "/v1/model", "/%ff%00", "/page/..%2f..%2fapp.py", "//", "*"))
    first = f"{chance.choice(('POST', 'POST', 'GET', 'PUT', 'X' * 50))} {path} HTTP/1.1\r\nConnection: close\r\n"
    return Request("odd header", (first.encode() + head + b"\r\nabc",))


def _not_http(chance: random.Random, pictures: dict[str, bytes]) -> Request:
    data = chance.choice(
        (b"\x16\x03\x01\x02\x00\x01\x00", b"\0" * 100, chance.randbytes(400), b"GET / HTTP/9.9\r\n\r\n")
    )
    return Request("not HTTP", (data + b"\r\n\r\n",))


def _slow(chance: random.Random, pictures: dict[str, bytes]) -> Request:
    whole = _post(pictures["JPEG"])
    cut = len(whole) - 40
    pieces = (whole[:cut], *(whole[i : i + 1] for i in range(cut, cut + chance.randrange(2, 20))))
    return Request("slow body", pieces, pause=chance.choice((0.1, 0.5)), leaves=chance.random() < 0.7)


def _leaver(chance: random.Random, pictures: dict[str, bytes]) -> Request:
    body = _form(*[pictures["JPEG"]] * chance.choice((1, 4, 16)))
    return Request("client that leaves", (_post(body, _FORM_TYPE, b"?pictures=all"),), leaves=True)


#: Kind -> its share of all requests, and what makes one.
KINDS: dict[str, tuple[float, Callable[[random.Random, dict[str, bytes]], Request]]] = {
    "mutated picture": (0.45, _picture),
    "claimed size": (0.1, _claim),
    "bomb": (0.003, _bomb),
    "odd body": (0.18, _odd_body),
    "odd header": (0.18, _odd_header),
    "not HTTP": (0.03, _not_http),
    "slow body": (0.03, _slow),
    "client that leaves": (0.017, _leaver),
}
