"""The application: its paths, and the way of a prediction from bytes to JSON.

Leaves out: limits while bytes arrive (``uploads``), turns and batches (``scheduling``, ``batching``), who may ask
(``middleware``), sockets (``serving``).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Collection, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import anyio
from fastapi import APIRouter, FastAPI, Query, Request
from fastapi.openapi.utils import get_openapi
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp

from mien import __version__
from mien.browser.about import about
from mien.faces import Photo
from mien.runtime import Predictor
from mien.runtime.processors import processors
from mien.spec import ModelSpec
from mien.study import Review
from mien.web.batching import Batcher
from mien.web.concurrency import ConcurrencyLimiter, client_of
from mien.web.hosts import LOOPBACK, AllowedHosts
from mien.web.limits import Limits
from mien.web.metrics import MEDIA_TYPE as METRICS_TYPE
from mien.web.metrics import Metrics
from mien.web.middleware import Middleware
from mien.web.pages import in_browser, page_file, page_router
from mien.web.pictures import photo_dicts
from mien.web.problems import MEDIA_TYPE, Refusal, install
from mien.web.replies import Health, ModelReply, PredictReply, Problem, Unreadable
from mien.web.review import review_routes
from mien.web.turns import Owner
from mien.web.uploads import read_uploads

__all__ = ["create_app"]

T = TypeVar("T")

_REFUSED = {
    400: "The form is damaged or cut short, or the Host header malformed.",
    403: "The request comes from another site's page.",
    408: "The body did not arrive in time.",
    413: "Too many bytes or files.",
    415: "The body is neither a form nor a picture.",
    421: "The Host header names another server.",
    422: "A parameter or a part breaks its rule, or no file can be read; `photos` then names each.",
    503: "Too many requests wait; `Retry-After` says when to ask again.",
}
_PICTURE = {"type": "string", "format": "binary", "contentMediaType": "application/octet-stream"}


class _Application(FastAPI):
    """FastAPI inside a :class:`Middleware`, which thus sees its answers to failures too."""

    around: tuple[Metrics, AllowedHosts]

    def build_middleware_stack(self) -> ASGIApp:
        return Middleware(super().build_middleware_stack(), *self.around)

    def openapi(self) -> dict[str, Any]:
        if not self.openapi_schema:
            schema = get_openapi(title=self.title, version=self.version, summary=self.summary, routes=self.routes)
            form = "#/components/schemas/{model}"
            for model in (Problem, Unreadable):
                described = model.model_json_schema(ref_template=form)
                described.pop("$defs", None)
                schema["components"]["schemas"].setdefault(model.__name__, described)
            self.openapi_schema = schema
        return self.openapi_schema


def create_app(
    predictor: Predictor,
    limits: Limits | None = None,
    *,
    jobs: int | None = None,
    together: int = 32,
    hosts: Collection[str] | AllowedHosts | None = LOOPBACK,
    review: Review | None = None,
    site: Path | None = None,
) -> FastAPI:
    """The web API and its page around one predictor, as an ASGI application.

    limits    see :class:`Limits`
    jobs      pictures that are decoded and searched at a time; None takes the number of processors that this
              process may use. More than one pays where the predictor has ``threads=1``
    together  pictures whose faces go through the network in one run, at most
    hosts     names in the Host header that are answered, any port, or :class:`AllowedHosts`; None answers to any, which
              lets other sites' pages in by DNS rebinding unless something in front of the server refuses them
    review    a film whose table is corrected at ``/review``
    site      the page for browsers, see ``mien.browser.site_folder``: visitors' browsers answer, where they can do what
              this predictor does; None leaves all to the server
    """
    limits = limits or Limits()
    limiter = ConcurrencyLimiter(limits)
    metrics = Metrics(limiter)
    batcher = Batcher(predictor, metrics, limits, jobs=jobs or processors(), together=together)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        batcher.close()

    app = _Application(
        title="mien",
        summary="Facial expressions in photos. An expression is a movement of the face, not a feeling.",
        version=__version__,
        lifespan=lifespan,
        docs_url=None,  # FastAPI's pages load scripts from another site
        redoc_url=None,
        redirect_slashes=False,
    )
    app.around = (metrics, AllowedHosts.of(hosts))
    install(app)
    app.include_router(_api(predictor, limits, limiter, batcher))
    app.include_router(_rest(predictor, metrics))
    if review is not None:
        app.include_router(review_routes(review, predictor.spec, limits, page_file))
    app.include_router(page_router(predictor, site if in_browser(predictor) else None))
    return app


def _problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": _REFUSED[status], "content": content} for status in statuses}


def _api(predictor: Predictor, limits: Limits, limiter: ConcurrencyLimiter, batcher: Batcher) -> APIRouter:
    """``/v1``."""
    router = APIRouter(prefix="/v1")
    spec = predictor.spec
    form = {
        "type": "object",
        "required": ["files"],
        "additionalProperties": False,
        "properties": {"files": {"type": "array", "minItems": 1, "maxItems": limits.files, "items": _PICTURE}},
    }
    body = {"multipart/form-data": {"schema": form}, "image/*": {"schema": _PICTURE}}

    @router.get("/model", response_model=ModelReply, responses=_problems(400, 421))
    async def model() -> dict[str, Any]:
        """Which model answers, how good it is, what it is for, and what one request may hold."""
        return _about(spec, limits)

    @router.post(
        "/predict",
        response_model=PredictReply,
        response_model_exclude_unset=True,
        responses=_problems(400, 403, 408, 413, 415, 421, 422, 503),
        openapi_extra={"requestBody": {"required": True, "content": body}},
    )
    async def predict(
        request: Request,
        pictures: Annotated[
            Literal["false", "true", "all"],
            Query(description="true: what the network saw and where it looked; all: what decided, too, which is slow"),
        ] = "false",
    ) -> dict[str, Any]:
        """The faces of one or more photos and their expressions. Nothing is kept."""
        owner = Owner(client_of(request.scope))
        with limiter.place(owner.client) as place:
            uploads = await read_uploads(request, limits, place)
            place.arrive()
            started = time.perf_counter()

            async def answer() -> list[dict[str, Any]]:
                photos = await batcher.photos(owner, uploads)
                _refuse_unreadable(photos)
                return await photo_dicts(photos, predictor, pictures, limits.explained, batcher, owner)

            try:
                photos = await _while_connected(request, answer())
            finally:
                batcher.drop(owner)
        told = {"model": spec.name, "provider": predictor.provider}
        return {**told, "photos": photos, "seconds": round(time.perf_counter() - started, 4)}

    return router


def _about(spec: ModelSpec, limits: Limits) -> dict[str, Any]:
    """What ``/v1/model`` says, see ``replies.ModelReply``."""
    return {**about(spec), "limits": {"files": limits.files, "bytes": limits.bytes, "pixels": limits.pixels}}


def _rest(predictor: Predictor, metrics: Metrics) -> APIRouter:
    """What those who run the server ask for."""
    router = APIRouter()
    name = predictor.spec.name

    @router.get("/healthz", response_model=Health, responses=_problems(400, 421))
    async def healthz() -> dict[str, str]:
        """Whether the server answers."""
        return {"status": "ok", "model": name}

    @router.get(
        "/metrics",
        response_class=Response,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}, **_problems(400, 421)},
    )
    async def prometheus() -> Response:
        """Counts and times in Prometheus' text format."""
        return Response(metrics.text(), media_type=METRICS_TYPE)

    return router


def _refuse_unreadable(photos: list[Photo]) -> None:
    """422 where not one file could be read: the client has sent the wrong things."""
    if all(photo.error for photo in photos):
        detail = photos[0].error if len(photos) == 1 else f"none of the {len(photos)} files can be read; see photos"
        raise Refusal(422, detail, photos=[photo.to_dict() for photo in photos])


async def _while_connected(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """The result of ``work``; a client that goes away ends it, which raises ClientDisconnect."""
    task = asyncio.ensure_future(work)
    watch = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({task, watch}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientDisconnect
        return task.result()
    finally:
        task.cancel()
        watch.cancel()
        with anyio.CancelScope(shield=True):  # given up before the place is free again
            await asyncio.gather(task, watch, return_exceptions=True)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
