"""Log in, log out, choose the language, and where each role begins."""

from collections import deque
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import RedirectResponse, Response

from kernel import clock
from pipeline import wiring
from portal.access import LANGUAGE, CurrentUser, log_in, log_out, ours
from portal.view import language_of, render

router = APIRouter()
_FIRST_PAGE = {
    "platform": "/streams",
    "factory": "/streams",
    "auditor": "/claims",
    "leader": "/metrics",
}
_TRIES, _WINDOW_SECONDS = 10, 300.0
# Failures per user name, so that guessing is slow; one process serves the embedded portal.
_failures: dict[str, deque[float]] = {}
_MOST_NAMES = 10_000


@router.get("/")
def start(user: CurrentUser) -> Response:
    """Send each role to its first page."""
    return RedirectResponse(_FIRST_PAGE[user.role], status_code=303)


@router.get("/login")
def form(request: Request) -> Response:
    """Show the form."""
    return render(request, "login", {"failed": ""})


@router.post("/login", dependencies=[Depends(ours)])
def log_in_with(
    request: Request, username: Annotated[str, Form()], password: Annotated[str, Form()]
) -> Response:
    """Begin a session for the right password."""
    if _is_slowed(username):
        return render(request, "login", {"failed": "login_slow"}, status=429)
    user = wiring.login(request.app.state.settings, username, password)
    if user is None:
        _remember_failure(username)
        return render(request, "login", {"failed": "login_failed"}, status=401)
    _failures.pop(username, None)
    log_in(request, user)
    return RedirectResponse("/", status_code=303)


@router.post("/logout", dependencies=[Depends(ours)])
def leave(request: Request) -> Response:
    """End the session."""
    log_out(request)
    return RedirectResponse("/login", status_code=303)


@router.post("/language", dependencies=[Depends(ours)])
def switch_language(request: Request, back: Annotated[str, Form()] = "/") -> Response:
    """Switch between Chinese and English and return to the page."""
    request.session[LANGUAGE] = "en" if language_of(request) == "zh" else "zh"
    # Only a path of ours: an address would send the reader elsewhere.
    inside = back.startswith("/") and not back.startswith(("//", "/\\"))
    return RedirectResponse(back if inside else "/", status_code=303)


def _is_slowed(username: str) -> bool:
    tries = _failures.get(username, deque())
    while tries and clock.monotonic() - tries[0] > _WINDOW_SECONDS:
        tries.popleft()
    return len(tries) >= _TRIES


def _remember_failure(username: str) -> None:
    if len(_failures) >= _MOST_NAMES:
        _failures.clear()
    _failures.setdefault(username, deque()).append(clock.monotonic())
