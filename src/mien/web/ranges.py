"""A file in pieces, as a player asks for it with the header ``Range``: RFC 9110, section 14.

A piece is a few megabytes at most, whatever is asked for: a player that pauses then holds no connection open.
Leaves out: several ranges in one request, which no player sends; they get the whole file.
"""

from __future__ import annotations

import os
import re
from email.utils import formatdate
from pathlib import Path

import anyio
from starlette.datastructures import Headers
from starlette.responses import FileResponse, Response

from mien.web.problems import problem

__all__ = ["PIECE", "piece_of", "ranged"]

#: Bytes of a piece at most.
PIECE = 4 << 20

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


async def ranged(path: Path, headers: Headers, media_type: str) -> Response:
    """The answer to a request for ``path``: 206 with a piece, 416, or 200 with all of it without a range."""
    try:
        stat = await anyio.to_thread.run_sync(os.stat, path)
    except OSError:
        return problem(404, f"{path.name} is not there any more")
    tag = f'"{stat.st_mtime_ns:x}-{stat.st_size:x}"'
    about = {"Accept-Ranges": "bytes", "ETag": tag, "Last-Modified": formatdate(stat.st_mtime, usegmt=True)}
    wanted = headers.get("range", "")
    same = headers.get("if-range", tag) in (tag, about["Last-Modified"])
    found = _RANGE.fullmatch(wanted.strip()) if same else None
    if found is None or found.group() == "bytes=-":
        return FileResponse(path, media_type=media_type, headers=about, stat_result=stat)
    piece = piece_of(found[1], found[2], stat.st_size)
    if piece is None:
        return problem(416, f"the file has {stat.st_size:,} bytes", {"Content-Range": f"bytes */{stat.st_size}"})
    first, last = piece
    data = await anyio.to_thread.run_sync(_read, path, first, last - first + 1)
    about["Content-Range"] = f"bytes {first}-{first + len(data) - 1}/{stat.st_size}"
    return Response(data, 206, about, media_type)


def piece_of(first: str, last: str, size: int) -> tuple[int, int] | None:
    """First and last byte of ``bytes=first-last`` in a file of ``size`` bytes, cut to a piece; None: nothing there."""
    if not first:  # the last so many bytes
        begin, end = max(0, size - int(last)), size - 1
    else:
        begin, end = int(first), min(size - 1, int(last) if last else size - 1)
    return (begin, min(end, begin + PIECE - 1)) if begin <= end else None


def _read(path: Path, first: int, count: int) -> bytes:
    with path.open("rb") as file:
        file.seek(first)
        return file.read(count)
