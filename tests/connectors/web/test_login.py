"""Logins as presets declare them, and what goes with each request then."""

from contextlib import closing
from pathlib import Path

import pytest

from connectors.fields import Fields
from connectors.web.client import Client
from connectors.web.login import Login, Request, login_of
from kernel.errors import ConfigurationError
from tests.connectors.web.server import Answer, Asked, serving

ROWS = Request("rows")


def declared(**said: object) -> Login:
    fields = Fields(said, Path("preset.yaml"), "login")
    login = login_of(fields)
    fields.done()
    return login


def seen(login: Login, given: dict[str, str], *answers: Answer) -> list[Asked]:
    """Ask once for rows; give what the server was asked for."""
    left = [*answers, Answer([])]
    with (
        serving(lambda _: left.pop(0)) as server,
        closing(Client(server.way(given), login, "erp")) as client,
    ):
        client.ask(ROWS, "s")
        return server.asked


@pytest.mark.real_system
def test_oauth2_needs_no_more_than_its_address() -> None:
    login = declared(by="oauth2", ask={"path": "oauth/token", "form": {"scope": "read"}})
    given = {"client_id": "me", "client_secret": "5ecret"}
    token = Answer({"access_token": "T", "expires_in": 3600})
    asked, rows = seen(login, given, token)
    assert (asked.method, asked.path) == ("POST", "/oauth/token")
    assert asked.form == {"grant_type": "client_credentials", "scope": "read", **given}
    assert rows.headers["authorization"] == "Bearer T"


@pytest.mark.real_system
def test_a_session_gives_parts_of_a_header() -> None:
    login = declared(
        by="session",
        ask={"path": "rpc", "body": {"params": ["{user}", {"password": "{password}"}]}},
        takes={"number": "result.0", "session": "result.1"},
        headers={"Authorization": "Session base64({user}:{number}:{session})"},
    )
    asked, rows = seen(login, {"user": "a", "password": "b"}, Answer({"result": [7, "s"]}))
    assert asked.json == {"params": ["a", {"password": "b"}]}
    assert rows.headers["authorization"] == "Session YTo3OnM="


@pytest.mark.real_system
def test_a_token_goes_where_the_product_wants_it() -> None:
    assert seen(declared(by="token"), {"token": "t"})[0].headers["authorization"] == "Bearer t"
    login = declared(by="token", query={"key": "{token}"})
    assert seen(login, {"token": "t"})[0].query == {"key": "t"}
    assert "authorization" not in seen(declared(by="none"), {})[0].headers


@pytest.mark.real_system
def test_an_answer_without_the_token_is_named() -> None:
    login = declared(by="session", ask={"path": "in"}, takes={"token": "data.token"})
    with pytest.raises(ConfigurationError, match=r"nothing at data\.token"):
        seen(login, {}, Answer({"data": {}}))


@pytest.mark.parametrize(
    ("said", "what"),
    [
        ({"by": "magic"}, "login.by"),
        ({"by": "session"}, "login.ask"),
        ({"by": "signed", "ask": {"path": "x"}}, "login.signed_with"),
        ({"by": "session", "ask": {"path": "x", "verb": "PUT"}}, "ask.verb"),
        ({"by": "basic", "ask": {"path": "x"}}, "login.ask"),
        ({"by": "session", "ask": {"path": "x"}, "ok": {"path": "y"}}, "ok.equals"),
    ],
)
def test_an_odd_login_is_refused(said: dict[str, object], what: str) -> None:
    with pytest.raises(ConfigurationError) as failed:
        declared(**said)
    assert what in str(failed.value)
