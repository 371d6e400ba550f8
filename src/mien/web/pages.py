"""The page's files.

Where the page for browsers was built, the visitor's browser runs the networks: this server hands it the model that it
was started with, and answers only what a browser cannot. Elsewhere the server answers everything.

Leaves out: answers (``app``), and a page without a server (``mien.browser.site``).
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, Response

from mien.browser.about import running
from mien.browser.models import DETECTOR, document
from mien.runtime import CenterFace, Predictor

__all__ = ["in_browser", "page_file", "page_router"]

_PAGE = Path(__file__).parent / "page"
_TYPES = {  # not asked of the system, which may call JavaScript plain text
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
    ".wasm": "application/wasm",
    ".onnx": "application/octet-stream",
}


def in_browser(predictor: Predictor) -> bool:
    """Whether a browser can do what this predictor does: the whole answer of a model, faces sought as the page does."""
    detector = predictor.detector
    return isinstance(detector, CenterFace) and detector.size is None and ":" not in predictor.spec.name


def page_router(predictor: Predictor, site: Path | None) -> APIRouter:
    """The page at ``/``, its files and, with ``site``, the networks' files.

    site  the built page, see ``mien.browser.site_folder``; None leaves all answers to the server
    """
    router = APIRouter(include_in_schema=False)
    engine = "both" if site is not None else "server"
    html = (_PAGE / "index.html").read_text(encoding="utf-8").replace('data-engine="server"', f'data-engine="{engine}"')

    @router.get("/")
    async def index() -> Response:
        return Response(html, media_type=_TYPES[".html"], headers={"Cache-Control": "no-cache"})

    @router.get("/page/{name}")
    async def page(name: str) -> Response:
        return page_file(name)

    if site is not None:
        parts, texts = _networks(predictor, site)

        @router.get("/{name}.js")
        async def package(name: str) -> Response:
            return _file(parts.get(f"{name}.js"))

        @router.get("/{name}.wasm")
        async def wasm(name: str) -> Response:
            return _file(parts.get(f"{name}.wasm"))

        @router.get("/models/{name}")
        async def network(name: str) -> Response:
            if name in texts:
                return Response(texts[name], media_type=_TYPES[".json"], headers={"Cache-Control": "no-cache"})
            return _file(parts.get(name))

    return router


def page_file(name: str) -> Response:
    """A file of the page; 404 for any other name."""
    return _file(_files().get(name))


@cache
def _files() -> dict[str, Path]:
    return {path.name: path for path in _PAGE.iterdir() if path.suffix in _TYPES}


def _networks(predictor: Predictor, site: Path) -> tuple[dict[str, Path], dict[str, str]]:
    """Name -> file and name -> text of what the page loads: the served model, the detector, the runtime."""
    model, spec = predictor.model_path, predictor.spec
    data = model.read_bytes()
    about = {**running(spec), **document("model.onnx", data)}
    listed = [{"name": "model", "bytes": len(data), "accuracy": about["accuracy"]}]
    parts = {path.name: path for path in (*site.glob("*.wasm"), site / "mien.js", site / "ort.js")}
    parts |= {"model.onnx": model, f"{DETECTOR}.onnx": site / "models" / f"{DETECTOR}.onnx"}
    detector = (site / "models" / f"{DETECTOR}.json").read_text(encoding="utf-8")
    return parts, {"model.json": json.dumps(about), "index.json": json.dumps(listed), f"{DETECTOR}.json": detector}


def _file(path: Path | None) -> Response:
    if path is None:  # so that no name leads out of the folder
        raise HTTPException(404)
    return FileResponse(path, media_type=_TYPES[path.suffix], headers={"Cache-Control": "no-cache"})
