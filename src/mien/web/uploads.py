"""A request's body -> pictures in memory, held to the limits while it arrives: nothing touches the disk.

A form (``multipart/form-data``, parts named ``files``) or one picture as the body (``image/...``).
Leaves out: decoding. Starlette's own form parser spools to temporary files, so ``python_multipart`` is used directly.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

import anyio
from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header
from starlette.requests import Request

from mien.web.concurrency import Place
from mien.web.limits import Limits
from mien.web.problems import Refusal, too_large

__all__ = ["Upload", "read_uploads"]

_NAME = 255  # characters of a file's name that are given back


@dataclass(frozen=True, eq=False)
class Upload:
    """One picture as it came: the name that the client gave it, "" for none, and its bytes."""

    name: str
    data: bytes


class _Sink(Protocol):
    most: int

    def write(self, chunk: bytes) -> None: ...
    def end(self) -> list[Upload]: ...


async def read_uploads(request: Request, limits: Limits, place: Place) -> list[Upload]:
    """The pictures of a request, at least one.

    Raises Refusal: 400 a form that is damaged or cut short, 408 too slow, 413 too large or too many, 415 another type,
    422 no picture or a part that is not ``files``, 503 too much held already; and ClientDisconnect.
    """
    count = 0
    try:
        sink = _sink(request, limits)
        stated = request.headers.get("content-length", "")
        if stated.isdecimal() and int(stated) > sink.most:  # before a byte of it is read
            raise _over(sink.most)
        with anyio.fail_after(limits.seconds):
            async for chunk in _pieces(request, limits):
                count += len(chunk)
                if count > sink.most:
                    raise _over(sink.most)
                place.hold(len(chunk))
                sink.write(chunk)
        return sink.end()
    except TimeoutError as error:
        raise Refusal(408, f"the body did not arrive within {limits.seconds:g} seconds; {count:,} bytes did") from error
    except FormParserError as error:
        raise Refusal(400, f"the form is damaged: {error}") from error


async def _pieces(request: Request, limits: Limits) -> AsyncIterator[bytes]:
    """The body as it comes; 408 where nothing comes for too long."""
    stream = request.stream()
    while True:
        try:
            with anyio.fail_after(limits.stall):
                chunk = await anext(stream)
        except TimeoutError as error:
            raise Refusal(408, f"nothing of the body arrived for {limits.stall:g} seconds") from error
        except StopAsyncIteration:
            return
        yield chunk


def _sink(request: Request, limits: Limits) -> _Sink:
    kind, options = parse_options_header(request.headers.get("content-type"))
    if kind == b"multipart/form-data":
        if not options.get(b"boundary"):
            raise Refusal(400, "the Content-Type of a form needs its boundary; let your HTTP library write it")
        return _Form(options[b"boundary"], limits)
    if kind.startswith(b"image/"):
        return _Body(limits)
    wanted = "multipart/form-data with parts named 'files', or image/... with one picture as the body"
    raise Refusal(415, f"Content-Type must be {wanted}", {"Accept-Post": "multipart/form-data, image/*"})


def _over(most: int) -> Refusal:
    return too_large(f"the body is larger than {most:,} bytes")


class _Body:
    """One picture as the body."""

    def __init__(self, limits: Limits) -> None:
        self.most = limits.bytes
        self._data = bytearray()

    def write(self, chunk: bytes) -> None:
        self._data += chunk

    def end(self) -> list[Upload]:
        return [Upload("", bytes(self._data))]


class _Form:
    """The parts of a form, as ``python_multipart`` reports them."""

    def __init__(self, boundary: bytes, limits: Limits) -> None:
        self.most = limits.request_bytes
        self._limits = limits
        self._done: list[Upload] = []
        self._complete = False
        self._field, self._value, self._disposition = bytearray(), bytearray(), b""
        self._name, self._data = "", bytearray()
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._part_begin,
                "on_header_field": self._header_field,
                "on_header_value": self._header_value,
                "on_header_end": self._header_end,
                "on_headers_finished": self._headers_finished,
                "on_part_data": self._part_data,
                "on_part_end": self._part_end,
                "on_end": self._end,
            },
        )

    def write(self, chunk: bytes) -> None:
        self._parser.write(chunk)

    def end(self) -> list[Upload]:
        self._parser.finalize()
        if not self._complete:
            raise Refusal(400, "the form is cut short: its closing boundary is missing")
        if not self._done:
            raise Refusal(422, "the form has no part named 'files'; send at least one picture")
        return self._done

    def _part_begin(self) -> None:
        self._disposition = b""
        self._data = bytearray()
        if len(self._done) == self._limits.files:
            raise too_large(f"more than {self._limits.files} pictures in one request; send them in several")

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        if self._field.lower() == b"content-disposition":
            self._disposition = bytes(self._value)
        self._field, self._value = bytearray(), bytearray()

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._disposition)
        part = _text(options.get(b"name", b""))
        if part != "files":
            raise Refusal(422, f"the form has a part named {part[:40]!r}; pictures go into parts named 'files'")
        self._name = _text(options.get(b"filename", b""))[:_NAME]

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        self._data += data[start:end]
        if len(self._data) > self._limits.bytes:
            raise too_large(f"picture {self._name!r} is larger than {self._limits.bytes:,} bytes")

    def _part_end(self) -> None:
        self._done.append(Upload(self._name, bytes(self._data)))
        self._data = bytearray()

    def _end(self) -> None:
        self._complete = True


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")
