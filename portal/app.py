"""Assembles the portal; the pages are modules of `portal.pages`, found in their folder."""

from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.middleware.base import RequestResponseEndpoint
from starlette.middleware.sessions import SessionMiddleware

import portal.pages
from kernel.errors import ConfigurationError, NplusxError, TamperingError
from kernel.log import logger
from kernel.registry import modules_in
from pipeline import wiring
from pipeline.settings import Settings, read_settings
from portal.access import CsrfError, ForbiddenError, LoginNeededError, NotFoundError, whoever
from portal.examined import Examined
from portal.throttle import Throttle
from portal.view import render
from registry.kinds import Role

FOLDER = Path(__file__).parent
_LARGEST_FORM = 64 << 10
_SHORTEST_SECRET = 32
# What a page may load: our own files only, so that a planted script or frame does nothing.
# The charts write style attributes.
_POLICY = (
    "default-src 'self'; style-src 'self'; style-src-attr 'unsafe-inline'; img-src 'self' data:;"
    " object-src 'none'; frame-ancestors 'none'; form-action 'self'; base-uri 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
}


def create_app() -> FastAPI:
    """Make the portal from the settings of the environment."""
    settings = read_settings()
    app = FastAPI(
        title="nplusx", docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False
    )
    app.state.settings = settings
    app.state.ended = {}
    app.state.throttle = Throttle()
    app.state.examined = Examined(settings)
    app.state.metrics_token = metrics_token(settings)
    app.mount("/static", StaticFiles(directory=FOLDER / "static"), name="static")
    for page in modules_in(portal.pages).values():
        app.include_router(page.router)
    app.add_api_route("/health", _health, include_in_schema=False)
    app.middleware("http")(_protect)
    app.add_middleware(
        SessionMiddleware,
        secret_key=session_secret(settings),
        # Cookies know no ports: two portals of one machine must not take each other's.
        session_cookie=f"nplusx-{settings.portal.port}",
        max_age=settings.portal.session_hours * 3600,
        same_site="lax",
        https_only=settings.portal.secure_cookie,
    )
    _tell_of_trouble(app)
    return app


def session_secret(settings: Settings) -> str:
    """Give the key of session cookies; a weak one would let anybody be anybody."""
    path = settings.portal.secret_file or settings.state_dir / "keys/portal.secret"
    return _strong(path, "The key of session cookies")


def metrics_token(settings: Settings) -> str:
    """Give the token that a scraper of metrics shows."""
    path = settings.portal.metrics_token_file or settings.state_dir / "keys/metrics.token"
    return _strong(path, "The token of metrics")


def _strong(path: Path, what: str) -> str:
    secret = wiring.secret(path)
    if len(secret) < _SHORTEST_SECRET:
        raise ConfigurationError(
            f"{what} is shorter than {_SHORTEST_SECRET} characters.",
            where=str(path),
            cure="put a longer random text there, or remove the file to have one made.",
        )
    return secret


def _tell_of_trouble(app: FastAPI) -> None:
    """Show a page in words for whatever goes wrong."""
    app.add_exception_handler(LoginNeededError, _to_login)
    app.add_exception_handler(ForbiddenError, _forbidden)
    app.add_exception_handler(NotFoundError, _not_found)
    app.add_exception_handler(HTTPException, _not_found)
    app.add_exception_handler(CsrfError, _stale_form)
    app.add_exception_handler(RequestValidationError, _bad_form)
    app.add_exception_handler(NplusxError, _trouble)
    app.add_exception_handler(Exception, _broken)


async def _protect(request: Request, call_next: RequestResponseEndpoint) -> Response:
    return _guarded(
        request, await call_next(request) if _is_small(request) else Response(None, 413)
    )


def _is_small(request: Request) -> bool:
    """Refuse what no form of ours is: a large body, or one that does not tell its size."""
    if request.method in {"GET", "HEAD"}:
        return True
    size = request.headers.get("content-length", "")
    return size.isdecimal() and int(size) <= _LARGEST_FORM


def _guarded(request: Request, response: Response) -> Response:
    is_static = request.url.path.startswith("/static/")
    response.headers["Cache-Control"] = "no-cache" if is_static else "no-store"
    response.headers.update(_HEADERS)
    return response


async def _health() -> JSONResponse:
    return JSONResponse({"status": "ok"})


async def _to_login(request: Request, _error: Exception) -> Response:
    if request.headers.get("hx-request"):
        # A part of a page is asked for: the whole page must go to the form.
        return Response(status_code=204, headers={"HX-Redirect": "/login"})
    return RedirectResponse("/login", status_code=303)


def _forbidden(request: Request, _error: Exception) -> Response:
    return _message(request, "forbidden", 403)


def _not_found(request: Request, _error: Exception) -> Response:
    return _message(request, "not_found", 404)


def _stale_form(request: Request, _error: Exception) -> Response:
    return _message(request, "stale_form", 403)


def _bad_form(request: Request, _error: Exception) -> Response:
    # What was typed is not repeated: it may be a password.
    return _message(request, "bad_form", 400)


def _trouble(request: Request, error: Exception) -> Response:
    logger("portal").error("page failed", path=request.url.path, error=str(error))
    is_false = isinstance(error, TamperingError)
    return _message(request, "tampered" if is_false else "trouble", 503, str(error))


def _broken(request: Request, error: Exception) -> Response:
    # Outside of all middleware, so it guards itself; the server logs the trace.
    detail = f"{type(error).__name__}: {error}"
    return _guarded(request, _message(request, "trouble", 500, detail))


def _message(request: Request, words: str, status: int, detail: str = "") -> Response:
    """Tell what happened; the detail names places that concern the platform's engineers only."""
    user = whoever(request)
    told = detail if user is not None and user.role == Role.PLATFORM else ""
    values = {"user": user, "words": words, "detail": told}
    return render(request, "message", values, status=status)
