"""Who is looking: the session, what a role may see, and proof that a form is ours."""

import hmac
import secrets
from collections.abc import Callable
from contextlib import suppress
from typing import Annotated

from fastapi import Depends, Form, Request

from kernel import canonical, clock
from kernel.errors import NplusxError
from pipeline import wiring
from registry.kinds import Role
from registry.people import User

_USER, _CSRF, _ID, _PROOF, LANGUAGE = "user", "csrf", "id", "proof", "language"
_PROOF_CHARACTERS = 16


class LoginNeededError(Exception):
    """Nobody is logged in."""


class ForbiddenError(Exception):
    """The role may not see this."""


class NotFoundError(Exception):
    """There is no such thing, or it is not the reader's: the answer must not tell which."""


class CsrfError(Exception):
    """The form did not come from a page of ours, or the page was too old."""


def current_user(request: Request) -> User:
    """Give who is logged in; a removed user, an old password, an ended session is nobody."""
    session = request.session
    name, proof = session.get(_USER), session.get(_PROOF)
    if not isinstance(name, str) or session.get(_ID) in request.app.state.ended:
        raise LoginNeededError
    user = wiring.user(request.app.state.settings, name)
    if user is None or proof != _proof(user):
        raise LoginNeededError
    return user


CurrentUser = Annotated[User, Depends(current_user)]


def whoever(request: Request) -> User | None:
    """Give who is logged in, if that can be told at all: for pages that tell of trouble."""
    with suppress(LoginNeededError, NplusxError):
        return current_user(request)
    return None


def only(*roles: Role) -> Callable[[Request], User]:
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
    if not isinstance(expected, str) or not hmac.compare_digest(expected.encode(), csrf.encode()):
        raise CsrfError


def log_in(request: Request, user: User) -> None:
    """Begin a session; nothing of the one before the login is kept but the language."""
    _begin(request)
    request.session.update(
        {_USER: user.username, _PROOF: _proof(user), _ID: secrets.token_urlsafe(16)}
    )


def log_out(request: Request) -> None:
    """End the session, also for whoever kept a copy of its cookie."""
    ended: dict[str, float] = request.app.state.ended
    lasts = request.app.state.settings.portal.session_hours * 3600
    for old in [each for each, at in ended.copy().items() if clock.monotonic() - at > lasts]:
        ended.pop(old, None)
    if isinstance(identity := request.session.get(_ID), str):
        ended[identity] = clock.monotonic()
    _begin(request)


def enterprise_filter(user: User) -> str | None:
    """Name the one enterprise that a user may see; None: all of them."""
    if user.role != Role.FACTORY:
        return None
    # A factory user without an enterprise sees nothing rather than everything.
    return user.enterprise_uscc or "-"


def _begin(request: Request) -> None:
    language = request.session.get(LANGUAGE)
    request.session.clear()
    if isinstance(language, str):
        request.session[LANGUAGE] = language


def _proof(user: User) -> str:
    """Bind a session to the password with which it began."""
    return canonical.digest(user.password_hash.encode())[:_PROOF_CHARACTERS]
