"""Text as UTF-8, whatever it was saved as: UTF-8 with a mark, UTF-16 and UTF-32, which Excel and Windows write.

Leaves out: 8-bit encodings, which nothing tells apart; the tables read here are ASCII but for names.
"""

from __future__ import annotations

import codecs
import io
from typing import Any

__all__ = ["as_utf8"]

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


class _Recoded(io.RawIOBase):
    """A stream in another encoding, read as UTF-8; bytes that are no such text raise ValueError."""

    def __init__(self, raw: io.BufferedReader, encoding: str) -> None:
        self.raw, self.decoder, self.left, self.ended = raw, codecs.getincrementaldecoder(encoding)(), b"", False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self.left and not self.ended:
            data = self.raw.read1(1 << 16)
            self.ended = not data
            self.left = self.decoder.decode(data, final=self.ended).encode()
        count = min(len(buffer), len(self.left))
        buffer[:count], self.left = self.left[:count], self.left[count:]
        return count


def as_utf8(stream: io.BufferedReader) -> io.BufferedReader:
    """``stream`` without its byte-order mark, and in UTF-8 where the mark, or its zeros, say UTF-16 or UTF-32."""
    head = stream.peek(4)[:4]
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            stream.read(len(mark))
            return stream if encoding == "utf-8" else io.BufferedReader(_Recoded(stream, encoding), 1 << 18)
    for encoding in ("utf-16-le", "utf-16-be"):  # without a mark: the zeros beside two plain letters
        text = head.decode(encoding, "replace")
        if len(text) == 2 and text.isascii() and text.isprintable():
            return io.BufferedReader(_Recoded(stream, encoding), 1 << 18)
    return stream
