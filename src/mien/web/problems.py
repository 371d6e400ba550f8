"""Errors as the client gets them: RFC 9457 ``application/problem+json``, for every status from 400 on.

Leaves out: when they are raised.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response

from mien.errors import MienError

__all__ = ["MEDIA_TYPE", "Refusal", "busy", "install", "problem", "problem_body", "too_large"]

MEDIA_TYPE = "application/problem+json"

_TITLES = {413: "Content Too Large", 421: "Misdirected Request", 422: "Unprocessable Content"}  # Python 3.10's differ
_GONE = 499  # nobody is there to read it; it is for the log and the metrics


class Refusal(MienError):
    """A request that is turned away: an HTTP status, what is wrong and what to do, headers and further members."""

    def __init__(
        self, status: int, detail: str, headers: Mapping[str, str] | None = None, **members: Sequence[Any]
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers, self.members = status, detail, dict(headers or {}), members


def busy(detail: str) -> Refusal:
    """503 with the second after which it is worth asking again."""
    return Refusal(503, f"{detail}; try again in a second", {"Retry-After": "1"})


def too_large(detail: str) -> Refusal:
    """413."""
    return Refusal(413, detail)


def problem_body(status: int, detail: str, **members: Any) -> dict[str, Any]:
    """The JSON object: ``type``, ``title``, ``status``, ``detail`` and further members."""
    title = _TITLES.get(status) or HTTPStatus(status).phrase
    return {"type": "about:blank", "title": title, "status": status, "detail": detail, **members}


def problem(status: int, detail: str, headers: Mapping[str, str] | None = None, **members: Any) -> JSONResponse:
    """The response."""
    body = problem_body(status, detail, **members)
    return JSONResponse(body, status, headers=dict(headers or {}), media_type=MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Let every error that ``app`` raises leave it as a problem."""
    app.add_exception_handler(Refusal, _refusal)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_exception_handler(Exception, _bug)


def _refusal(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return problem(error.status, error.detail, error.headers, **error.members)


def _http(request: Request, error: Exception) -> Response:
    """Starlette's own: no such path, a method that the path has not."""
    assert isinstance(error, HTTPException)
    details = {
        404: "nothing is here; the API is described in /openapi.json",
        405: f"{request.method} is not possible here",
    }
    return problem(error.status_code, details.get(error.status_code, str(error.detail)), error.headers)


def _invalid(request: Request, error: Exception) -> Response:
    """A parameter outside its rule: each is named with its rule, its value is not repeated."""
    assert isinstance(error, RequestValidationError)
    named = [f"{'.'.join(str(part) for part in e['loc'][1:])}: {e['msg']}" for e in error.errors()]
    return problem(422, "; ".join(named) or "a parameter breaks its rule")


def _gone(request: Request, error: Exception) -> Response:
    return Response(status_code=_GONE)


def _bug(request: Request, error: Exception) -> Response:
    return problem(500, "mien failed; the server's own log says where")
