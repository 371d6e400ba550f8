"""The review of one film: its page, its bytes, and the corrections that the page makes.

Leaves out: what a correction does (``mien.study``), the page itself (``page/review.html``).
"""

from __future__ import annotations

import json
import mimetypes
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import anyio
from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from mien.errors import ConfigError, DataError, MienError
from mien.spec import ModelSpec
from mien.study import Review, Stale
from mien.video.preview import preview_path, write_preview
from mien.web.jobs import Jobs
from mien.web.limits import Limits
from mien.web.problems import Refusal, too_large
from mien.web.ranges import ranged

__all__ = ["review_routes"]

_BODY = 65_536  # bytes of a correction
_TYPES = {".mkv": "video/x-matroska", ".ts": "video/mp2t", ".ogv": "video/ogg"}  # which systems may not know


def review_routes(review: Review, spec: ModelSpec, limits: Limits, page: Callable[[str], Response]) -> APIRouter:
    """``/review`` and ``/v1/review``; ``page`` answers with a file of the page, ``spec`` says how faces are cropped."""
    router, jobs = APIRouter(include_in_schema=False), Jobs()

    @router.get("/review")
    async def index() -> Response:
        return page("review.html")

    @router.get("/v1/review")
    async def state() -> Response:
        return await _answer(review, jobs)

    @router.get("/v1/review/faces")
    async def faces() -> Response:
        return Response(await anyio.to_thread.run_sync(review.faces), media_type="application/octet-stream")

    @router.get("/v1/review/job")
    async def job() -> Response:
        return JSONResponse(jobs.told())

    @router.get("/v1/review/video")
    async def video(request: Request) -> Response:
        return await ranged(review.video, request.headers, _media_type(review.video))

    @router.get("/v1/review/preview")
    async def preview(request: Request) -> Response:
        return await ranged(preview_path(review.video), request.headers, "video/mp4")

    @router.post("/v1/review/corrections")
    async def correct(request: Request) -> Response:
        body = await _body(request, limits)
        return await _answer(review, jobs, partial(review.add, body.get("correction"), _after(body)))

    @router.post("/v1/review/undo")
    async def undo(request: Request) -> Response:
        body = await _body(request, limits)
        return await _answer(review, jobs, partial(review.undo, body.get("of"), _after(body)))

    @router.post("/v1/review/redo")
    async def redo(request: Request) -> Response:
        body = await _body(request, limits)
        return await _answer(review, jobs, partial(review.redo, body.get("of"), _after(body)))

    @router.post("/v1/review/{what}")
    async def write(request: Request, what: str) -> Response:
        await _body(request, limits)
        works: dict[str, Callable[..., dict[str, Any]]] = {
            "table": _table,
            "faces": partial(_faces, spec=spec),
            "preview": _preview,
        }
        if what not in works:
            raise Refusal(404, "nothing is here")
        jobs.start(what, partial(works[what], review))
        return JSONResponse(jobs.told())

    return router


async def _answer(review: Review, jobs: Jobs, change: Callable[[], None] | None = None) -> Response:
    """The state, after a change; 409 where somebody was quicker, 422 where the change cannot be made."""
    try:
        if change is not None:
            await anyio.to_thread.run_sync(change)
    except Stale as error:
        raise Refusal(409, str(error)) from error
    except (ConfigError, DataError) as error:
        raise Refusal(422, str(error)) from error
    except MienError as error:  # a full disk
        raise Refusal(507, str(error)) from error
    told = await anyio.to_thread.run_sync(review.state)
    ready = await anyio.to_thread.run_sync(_has_preview, review.video)
    return JSONResponse({**told, "job": jobs.told(), "preview": ready})


def _table(review: Review, progress: Callable[[float], None]) -> dict[str, Any]:
    return {"files": [str(path) for path in review.write_table()]}


def _faces(review: Review, progress: Callable[[float], None], *, spec: ModelSpec) -> dict[str, Any]:
    folder, counts = review.write_faces(spec, progress=progress)
    return {"folder": str(folder), "counts": counts}


def _preview(review: Review, progress: Callable[[float], None]) -> dict[str, Any]:
    path = preview_path(review.video)
    if not _has_preview(review.video):
        write_preview(review.video, path, progress)
    return {"files": [str(path)]}


def _has_preview(video: Path) -> bool:
    """Whether there is one of this film, and not of an older one."""
    try:
        return preview_path(video).stat().st_mtime >= video.stat().st_mtime
    except OSError:
        return False


def _media_type(video: Path) -> str:
    suffix = video.suffix.lower()
    return _TYPES.get(suffix) or mimetypes.types_map.get(suffix) or "application/octet-stream"


def _after(body: dict[str, Any]) -> int:
    after = body.get("after")
    if not isinstance(after, int) or isinstance(after, bool):
        raise Refusal(422, f"after must be the number that the state had, got {after!r}")
    return after


async def _body(request: Request, limits: Limits) -> dict[str, Any]:
    """A small JSON object; 408 too slow, 413 too large, 415 another type, 422 no object."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise Refusal(415, "Content-Type must be application/json")
    data = bytearray()
    try:
        with anyio.fail_after(limits.stall):
            async for chunk in request.stream():
                data += chunk
                if len(data) > _BODY:
                    raise too_large(f"a correction is larger than {_BODY:,} bytes")
    except TimeoutError as error:
        raise Refusal(408, f"the body did not arrive within {limits.stall:g} seconds") from error
    try:
        read = json.loads(data or b"{}")
    except (ValueError, RecursionError) as error:
        raise Refusal(422, f"the body is no JSON: {error}") from error
    if not isinstance(read, dict):
        raise Refusal(422, "the body must be a JSON object")
    return read
