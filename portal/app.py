"""Assembles the portal; the pages are modules of `portal.pages`, found in their folder."""

from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.middleware.base import RequestResponseEndpoint
from starlette.middleware.sessions import SessionMiddleware

import portal.pages
from kernel.errors import NplusxError
from kernel.registry import modules_in
from pipeline import wiring
from pipeline.settings import Settings, read_settings
from portal.access import CsrfError, ForbiddenError, LoginNeededError
from portal.view import render

FOLDER = Path(__file__).parent
# What a page may load: our own files only, so that a planted script or frame does nothing.
_POLICY = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:;"
    " frame-ancestors 'none'; form-action 'self'; base-uri 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def create_app() -> FastAPI:
    """Make the portal from the settings of the environment."""
    settings = read_settings()
    app = FastAPI(title="nplusx", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.settings = settings
    app.mount("/static", StaticFiles(directory=FOLDER / "static"), name="static")
    for page in modules_in(portal.pages).values():
        app.include_router(page.router)
    app.middleware("http")(_protect)
    app.add_middleware(
        SessionMiddleware,
        secret_key=session_secret(settings),
        max_age=settings.portal.session_hours * 3600,
        same_site="lax",
        https_only=settings.portal.secure_cookie,
    )
    app.add_exception_handler(LoginNeededError, _to_login)
    app.add_exception_handler(ForbiddenError, _forbidden)
    app.add_exception_handler(CsrfError, _stale_form)
    app.add_exception_handler(NplusxError, _trouble)
    app.add_api_route("/health", _health, include_in_schema=False)
    return app


def session_secret(settings: Settings) -> str:
    """Give the key of session cookies."""
    return wiring.secret(settings.portal.secret_file or settings.state_dir / "keys/portal.secret")


async def _protect(request: Request, call_next: RequestResponseEndpoint) -> Response:
    response = await call_next(request)
    cached = request.url.path.startswith("/static/vendor/")
    for name, value in _HEADERS.items():
        if name != "Cache-Control" or not cached:
            response.headers.setdefault(name, value)
    return response


async def _health() -> JSONResponse:
    return JSONResponse({"status": "ok"})


async def _to_login(_request: Request, _error: Exception) -> Response:
    return RedirectResponse("/login", status_code=303)


async def _forbidden(request: Request, _error: Exception) -> Response:
    return render(request, "message", {"words": "forbidden"}, status=403)


async def _stale_form(request: Request, _error: Exception) -> Response:
    return render(request, "message", {"words": "stale_form"}, status=403)


async def _trouble(request: Request, error: Exception) -> Response:
    return render(request, "message", {"words": "trouble", "detail": str(error)}, status=503)
