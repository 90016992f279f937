"""Log in, log out, choose the language, and where each role begins."""

import re
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import RedirectResponse, Response

from pipeline import wiring
from portal.access import LANGUAGE, CurrentUser, log_in, log_out, ours, whoever
from portal.throttle import SlowedError
from portal.view import language_of, render
from registry.kinds import Role

router = APIRouter()
_FIRST_PAGE = {
    Role.PLATFORM: "/streams",
    Role.FACTORY: "/streams",
    Role.AUDITOR: "/claims",
    Role.LEADER: "/metrics",
}
_LONGEST_NAME, _LONGEST_PASSWORD = 64, 1024
# Only a path of ours: an address would send the reader elsewhere, and browsers read `/\` and
# `/<tab>/` as the beginning of one.
_INSIDE = re.compile(r"/(?![/\\])[!-\[\]-~]*")


@router.get("/")
def start(user: CurrentUser) -> Response:
    """Send each role to its first page."""
    return RedirectResponse(_FIRST_PAGE[user.role], status_code=303)


@router.get("/login")
def form(request: Request) -> Response:
    """Show the form, or the first page to whom needs none."""
    if whoever(request) is not None:
        return RedirectResponse("/", status_code=303)
    return render(request, "login", {"failed": ""})


@router.post("/login", dependencies=[Depends(ours)])
def log_in_with(
    request: Request,
    username: Annotated[str, Form(max_length=_LONGEST_NAME)],
    password: Annotated[str, Form(max_length=_LONGEST_PASSWORD)],
) -> Response:
    """Begin a session for the right password."""
    try:
        with request.app.state.throttle.trying(username):
            user = wiring.login(request.app.state.settings, username, password)
    except SlowedError:
        return render(request, "login", {"failed": "login_slow"}, status=429)
    if user is None:
        return render(request, "login", {"failed": "login_failed"}, status=401)
    request.app.state.throttle.forget(username)
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
    return RedirectResponse(back if _INSIDE.fullmatch(back) else "/", status_code=303)
