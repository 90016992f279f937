"""The client of HTTP sources: polite, patient, loyal to one host, and silent about secrets."""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from connectors.fields import Fields
from connectors.web.client import Client
from connectors.web.login import Login, Request, login_of
from connectors.web.replies import Check
from connectors.web.way import Way
from kernel import clock
from kernel.errors import ConfigurationError, DependencyUnavailableError, NplusxError
from tests.broker import free_port
from tests.connectors.web.server import Answer, Asked, Says, serving

Given = Mapping[str, str]
NOTHING: Given = {}
ROWS = Request("rows")
pytestmark = pytest.mark.real_system
NONE = Login()
WELL = Answer({"rows": []})
BODY = {"name": "{user}", "key": "{password}"}
SESSION = Login("session", Request("login", "POST", body=BODY), ok=Check("ok", "true", "message"))
OAUTH = Login(
    "oauth2",
    Request("token", "POST", form={"grant_type": "client_credentials", "client_id": "{id}"}),
    takes={"token": "access_token"},
    lasts="expires_in", headers={"Authorization": "Bearer {token}"},
)  # fmt: skip


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Wait in no time, and tell how long it would have been."""
    waited: list[float] = []
    passed = [0.0]
    began = clock.monotonic()

    def sleep(seconds: float) -> None:
        passed[0] += seconds
        if seconds:
            waited.append(round(seconds, 1))

    monkeypatch.setattr(clock, "sleep", sleep)
    monkeypatch.setattr(clock, "monotonic", lambda: began + passed[0])
    return waited


def ask(says: Says, login: Login = NONE, given: Given = NOTHING) -> object:
    with serving(says) as server:
        client = Client(server.way(given), login, "erp")
        try:
            return client.json(ROWS, "s")[0]
        finally:
            client.close()


def failure(says: Says, login: Login = NONE, given: Given = NOTHING) -> NplusxError:
    with pytest.raises(NplusxError) as failed:
        ask(says, login, given)
    return failed.value


def in_turn(*answers: Answer) -> Says:
    left = list(answers)
    return lambda _: left.pop(0) if len(left) > 1 else left[0]


def test_numbers_come_with_every_digit() -> None:
    body = b'\xef\xbb\xbf{"a": 0.10, "b": 123456789012345678901234567890, "c": 1e400, "d": NaN}'
    said = {"a": "0.10", "b": "123456789012345678901234567890", "c": "1e400", "d": "NaN"}
    assert ask(lambda _: Answer(body)) == said


@pytest.mark.parametrize("status", [429, 500, 502, 503, 0])
def test_what_passes_is_asked_again(status: int, waits: list[float]) -> None:
    assert ask(in_turn(Answer(b"", status), Answer(b"", status), WELL)) == WELL.body
    assert len(waits) == 2


def test_the_server_says_how_long_to_wait(waits: list[float]) -> None:
    assert ask(in_turn(Answer(b"", 503, {"Retry-After": "7"}), WELL)) == WELL.body
    # By its own clock, whatever ours says.
    then = datetime(2001, 1, 1, tzinfo=UTC)
    dates = {"Date": then, "Retry-After": then + timedelta(seconds=9)}
    dated = {name: format_datetime(each, usegmt=True) for name, each in dates.items()}
    assert ask(in_turn(Answer(b"", 429, dated), WELL)) == WELL.body
    assert waits == [7.0, 9.0]


def test_a_wait_too_long_is_an_error_at_once(waits: list[float]) -> None:
    failed = failure(in_turn(Answer(b"", 429, {"Retry-After": "3600"})))
    assert isinstance(failed, DependencyUnavailableError)
    assert "requests_per_second" in failed.cure
    assert waits == []


def test_requests_keep_the_pace_that_is_asked_for(waits: list[float]) -> None:
    with serving(lambda _: WELL) as server:
        client = Client(replace(server.way(), requests_per_second=4), NONE, "erp")
        for _ in range(4):
            client.ask(ROWS, "s")
        client.close()
    # The first goes at once, the others a quarter of a second apart.
    assert sum(waits) == pytest.approx(0.75, abs=0.3)


@pytest.mark.parametrize(
    ("answer", "what", "cure"),
    [
        (Answer(b"", 401), "refuses the login", "`login`"),
        (Answer(b"", 403), "does not let this user read", "administrator"),
        (Answer(b"", 404), "no such address", "`address`"),
        (Answer({"error": "no column 颜色"}, 400), "no column 颜色", "version"),
        (Answer(b"<html>down</html>", 503), "in maintenance", "wait"),
        (Answer(b"", 429), "fewer requests", "requests_per_second"),
        (Answer(b"<html>Login</html>", 200), "is not JSON", "login page"),
        (Answer(b"[" * 100_000, 200), "is not JSON", "address"),
        (Answer(b"", 302, {"Location": "http://other.example/"}), "another server", "`address`"),
        (Answer(b"", 302, {"Location": "http://127.0.0.1:1/"}), "another server", "`address`"),
        (Answer(b"", 302, {"Location": "/again"}), "sends on to", "`address`"),
        (Answer(b"", 302, {"Location": "http://["}), "another server", "`address`"),
        (Answer(b"x", 200, {"Content-Length": "9"}), "cannot be reached", "`address`"),
        (Answer(b"x" * 99, 200, {"Content-Encoding": "gzip"}), "cannot be reached", "`address`"),
    ],
)
def test_each_trouble_has_its_cure(
    answer: Answer, what: str, cure: str, waits: list[float]
) -> None:
    failed = failure(lambda _: answer)
    assert what in failed.what
    assert "source erp, http://127.0.0.1" in failed.where
    assert cure in failed.cure


def test_a_server_that_is_not_there_is_named(waits: list[float]) -> None:
    client = Client(Way(f"http://127.0.0.1:{free_port()}/api"), NONE, "erp")
    for stream in ("s", "t", "u"):
        with pytest.raises(DependencyUnavailableError, match="cannot be reached") as failed:
            client.ask(ROWS, stream)
        assert f"stream {stream}" in failed.value.where
    # The first stream waits for it; the others would only hold up other sources.
    assert len(waits) <= 3 + 2
    client.close()


def test_an_answer_too_long_is_given_up(waits: list[float]) -> None:
    with serving(lambda _: Answer(b"x" * 5000)) as server:
        client = Client(replace(server.way(), answer_bytes=4000), NONE, "erp")
        with pytest.raises(ConfigurationError, match="longer than 4000 bytes"):
            client.ask(ROWS, "s")
        client.close()


def test_the_same_host_may_send_on() -> None:
    def says(asked: Asked) -> Answer:
        return WELL if asked.path == "/new" else Answer(b"", 301, {"Location": "/new"})

    assert ask(says) == WELL.body


def test_no_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    assert ask(lambda _: WELL) == WELL.body


def test_basic_and_token_go_with_each_request() -> None:
    seen: list[Asked] = []

    def says(asked: Asked) -> Answer:
        seen.append(asked)
        return WELL

    ask(says, Login("basic"), {"user": "读者", "password": "geheim"})
    ask(says, Login("token", headers={"X-Key": "{token}"}), {"token": "t0k"})
    ask(says, Login("token", query={"k": "{token}"}), {"token": "t 0&k"})
    pair = base64.b64encode("读者:geheim".encode()).decode()
    assert seen[0].headers["authorization"] == f"Basic {pair}"
    assert seen[1].headers["x-key"] == "t0k"
    assert seen[2].query == {"k": "t 0&k"}


class Issuer:
    """Gives tokens and takes only the last one."""

    def __init__(self, lasts: int = 7200) -> None:
        self.given, self.lasts, self.refuses = 0, lasts, False
        self.asked: list[Asked] = []

    def __call__(self, asked: Asked) -> Answer:
        if asked.path == "/token":
            self.asked.append(asked)
            self.given += 1
            return Answer({"access_token": f"t{self.given}", "expires_in": self.lasts})
        known = asked.headers.get("authorization") == f"Bearer t{self.given}"
        return WELL if known and not self.refuses else Answer(b"", 401)


def test_a_token_is_kept_until_shortly_before_its_end(waits: list[float]) -> None:
    issuer = Issuer()
    with serving(issuer) as server:
        client = Client(server.way({"id": "me"}), OAUTH, "erp")
        client.ask(ROWS, "s")
        client.ask(ROWS, "s")
        assert issuer.given == 1
        assert issuer.asked[0].form == {"grant_type": "client_credentials", "client_id": "me"}
        clock.sleep(7150)
        client.ask(ROWS, "s")
        client.close()
    assert issuer.given == 2


def test_a_token_that_is_no_longer_known_is_renewed_once() -> None:
    issuer = Issuer()
    with serving(issuer) as server:
        client = Client(server.way({"id": "me"}), OAUTH, "erp")
        client.ask(ROWS, "s")
        issuer.given += 5
        client.ask(ROWS, "s")
        assert len(issuer.asked) == 2
        issuer.refuses = True
        with pytest.raises(ConfigurationError, match="refuses the login"):
            client.ask(ROWS, "s")
        assert len(issuer.asked) == 3
        client.close()


def test_a_query_is_signed_as_the_product_documents() -> None:
    query = {"appKey": "{app_key}", "timestamp": "{milliseconds}"}
    login = Login(
        "signed", Request("auth", query=query), signed_with="app_secret",
        takes={"token": "data.access_token"},
        ok=Check("code", "00000", "message"), query={"access_token": "{token}"},
    )  # fmt: skip
    key = "s€cret+/="

    def says(asked: Asked) -> Answer:
        if asked.path == "/rows":
            return WELL if asked.query == {"access_token": "T"} else Answer(b"", 401)
        given = f"appKeyk1timestamp{asked.query['timestamp']}"
        right = base64.b64encode(hmac.digest(key.encode(), given.encode(), hashlib.sha256))
        if asked.query["signature"] != right.decode():
            return Answer({"code": "50000", "message": "验签失败"})
        return Answer({"code": "00000", "data": {"access_token": "T", "expire": 7200}})

    assert ask(says, login, {"app_key": "k1", "app_secret": key}) == WELL.body
    failed = failure(says, login, {"app_key": "k1", "app_secret": "wrong"})
    assert "refuses the login: 验签失败" in failed.what


class Office:
    """Keeps sessions by cookie; who is unknown is told so with a success."""

    def __init__(self) -> None:
        self.sessions: set[str] = set()
        self.logins = 0

    def __call__(self, asked: Asked) -> Answer:
        if asked.path == "/login":
            if asked.json != {"name": "reader", "key": "p4ss"}:
                return Answer({"ok": False, "message": f"no: {asked.body.decode()}"})
            self.logins += 1
            self.sessions = {f"c{self.logins}"}
            return Answer({"ok": True}, 200, {"Set-Cookie": f"sid=c{self.logins}; Path=/"})
        if asked.headers.get("cookie", "")[4:] not in self.sessions:
            return Answer({"rows": [], "message": "会话信息已丢失"})
        return Answer({"rows": [1]})


def test_a_session_is_kept_and_begun_anew_when_it_is_lost() -> None:
    office, login = Office(), replace(SESSION, lost="会话信息已丢失")
    with serving(office) as server:
        client = Client(server.way({"user": "reader", "password": "p4ss"}), login, "erp")
        assert client.json(ROWS, "s")[0] == {"rows": ["1"]}
        client.ask(ROWS, "s")
        assert office.logins == 1
        office.sessions.clear()
        assert client.json(ROWS, "s")[0] == {"rows": ["1"]}
        assert office.logins == 2
        client.close()


def test_a_wrong_password_is_named_and_not_told() -> None:
    failed = failure(Office(), SESSION, {"user": "reader", "password": "Wr0ng&word"})
    assert "refuses the login" in failed.what
    assert "Wr0ng" not in str(failed)


def test_an_oauth2_client_that_is_not_known_is_told_as_a_refused_login() -> None:
    said = Answer({"error": "invalid_client"}, 400)
    login = login_of(Fields({"by": "oauth2", "ask": {"path": "token"}}, Path("p.yaml")))
    failed = failure(lambda _: said, login, {"client_id": "a", "client_secret": "b"})
    assert "refuses the login. (HTTP 400" in failed.what
    assert "invalid_client" in failed.what
    assert "secrets" in failed.cure


def test_a_token_in_what_a_server_says_is_covered(waits: list[float]) -> None:
    login = Login("token", query={"key": "{token}"})
    said = Answer(b"/rows?key=a%2Bb is broken, a+b", 500)
    assert "a+b" not in (text := str(failure(lambda _: said, login, {"token": "a+b"})))
    assert "a%2Bb" not in text


def test_a_refused_login_is_not_tried_again_for_a_while(waits: list[float]) -> None:
    office = Office()
    with serving(office) as server:
        client = Client(server.way({"user": "reader", "password": "wrong"}), SESSION, "erp")
        for _ in range(3):
            # Products lock an account after a few wrong passwords.
            with pytest.raises(ConfigurationError, match="refuses the login"):
                client.ask(ROWS, "s")
        assert len(server.asked) == 1
        clock.sleep(301)
        with pytest.raises(ConfigurationError, match="refuses the login"):
            client.ask(ROWS, "s")
        assert len(server.asked) == 2
        client.close()


def test_an_address_that_is_closed_to_us_closes_no_other() -> None:
    def says(asked: Asked) -> Answer:
        return Answer(b"", 401) if asked.path == "/closed" else WELL

    with serving(says) as server:
        client = Client(server.way({"user": "u", "password": "p"}), Login("basic"), "erp")
        client.ask(ROWS, "s")
        with pytest.raises(ConfigurationError, match="refuses the login"):
            client.ask(Request("closed"), "other")
        client.ask(ROWS, "s")
        client.close()


def test_a_token_in_an_address_stands_in_no_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    login = Login("token", query={"key": "{token}"})
    assert ask(lambda _: WELL, login, {"token": "t0pSecret"}) == WELL.body
    assert "t0pSecret" not in caplog.text


@pytest.mark.parametrize(
    ("given", "what"), [({"user": "u"}, "lacks password"), ({"pin": "1"}, "lacks password, user")]
)
def test_a_login_that_lacks_something_is_refused_before_any_request(
    given: dict[str, str], what: str
) -> None:
    with pytest.raises(ConfigurationError, match=what):
        Client(Way("http://erp.example/", given), SESSION, "erp")


@pytest.mark.parametrize("address", ["erp.example", "ftp://erp.example", "https://", "http://a:b"])
def test_an_odd_address_is_refused(address: str) -> None:
    with pytest.raises(ConfigurationError, match="https://host/path"):
        Client(Way(address), NONE, "erp")
