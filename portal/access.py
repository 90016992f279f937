"""Who is looking: the session, what a role may see, and proof that a form is ours."""

import hmac
import secrets
from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, Form, Request

from pipeline import wiring
from registry.people import User

_USER, _CSRF, LANGUAGE = "user", "csrf", "language"


class LoginNeededError(Exception):
    """Nobody is logged in."""


class ForbiddenError(Exception):
    """The role may not see this."""


class CsrfError(Exception):
    """The form did not come from a page of ours, or the page was too old."""


def current_user(request: Request) -> User:
    """Give who is logged in; a user who was removed meanwhile is nobody."""
    name = request.session.get(_USER)
    user = wiring.user(request.app.state.settings, name) if isinstance(name, str) else None
    if user is None:
        raise LoginNeededError
    return user


CurrentUser = Annotated[User, Depends(current_user)]


def only(*roles: str) -> Callable[[Request], User]:
    """Admit these roles only."""

    def check(request: Request) -> User:
        user = current_user(request)
        if user.role not in roles:
            raise ForbiddenError
        return user

    return check


def csrf_token(request: Request) -> str:
    """Give the session's token for forms, made with the session."""
    token = request.session.get(_CSRF)
    if not isinstance(token, str):
        token = secrets.token_urlsafe(24)
        request.session[_CSRF] = token
    return token


def ours(request: Request, csrf: Annotated[str, Form()] = "") -> None:
    """Refuse a form without the session's token."""
    expected = request.session.get(_CSRF)
    if not isinstance(expected, str) or not hmac.compare_digest(expected, csrf):
        raise CsrfError


def log_in(request: Request, user: User) -> None:
    """Begin a session; the token of before the login is not kept."""
    language = request.session.get(LANGUAGE)
    request.session.clear()
    request.session[_USER] = user.username
    if isinstance(language, str):
        request.session[LANGUAGE] = language


def log_out(request: Request) -> None:
    """End the session."""
    request.session.clear()


def enterprise_filter(user: User) -> str | None:
    """Name the one enterprise that a user may see; None: all of them."""
    if user.role != "factory":
        return None
    # A factory user without an enterprise sees nothing rather than everything.
    return user.enterprise_uscc or "-"
