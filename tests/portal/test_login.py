"""Who gets in, how a session begins and ends, and what a form must bring."""

import pytest
from fastapi import FastAPI

from kernel import clock
from pipeline import wiring
from portal import throttle
from portal.app import create_app
from registry.kinds import Role
from registry.people import User, hash_password, save_user
from tests.portal.conftest import LogIn
from tests.portal.county import PASSWORD, USERS, Site, Visitor

FIRST = {"engineer": "/streams", "factory": "/streams", "auditor": "/claims", "leader": "/metrics"}


@pytest.fixture
def visitor(portal: FastAPI) -> Visitor:
    return Visitor(portal)


@pytest.mark.parametrize(("name", "page"), FIRST.items())
def test_each_role_begins_at_its_page(as_user: LogIn, name: str, page: str) -> None:
    start = as_user(name).get("/")
    assert (start.status_code, start.headers["location"]) == (303, page)


@pytest.mark.parametrize(
    "path", ["/", "/streams", "/quarantine", "/metrics", "/claims", "/claims/x", "/claims/x/pack"]
)
def test_nobody_sees_the_form_only(visitor: Visitor, path: str) -> None:
    answer = visitor.get(path)
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")


def test_a_part_of_a_page_sends_the_whole_page_to_the_form(visitor: Visitor) -> None:
    answer = visitor.get("/streams", **{"HX-Request": "true"})
    assert (answer.status_code, answer.headers["hx-redirect"]) == (204, "/login")
    assert not answer.content


@pytest.mark.parametrize(
    ("name", "password"),
    [("engineer", "wrong"), ("nemo", PASSWORD), ("engineer ", PASSWORD)],
)
def test_a_wrong_name_and_a_wrong_password_look_the_same(
    visitor: Visitor, name: str, password: str
) -> None:
    answer = visitor.log_in(name, password)
    assert answer.status_code == 401
    assert "用户名或密码不正确。" in answer.text
    assert visitor.get("/").headers["location"] == "/login"


def test_what_was_typed_is_never_sent_back(visitor: Visitor) -> None:
    answer = visitor.log_in("engineer", "a-secret-typo")
    assert "a-secret-typo" not in answer.text
    too_long = visitor.log_in("engineer", "a-secret-typo" * 200)
    assert too_long.status_code == 400
    assert "填写的内容不完整或过长" in too_long.text
    assert "a-secret-typo" not in too_long.text


@pytest.mark.parametrize("token", ["", "x", "é", None])
@pytest.mark.parametrize("path", ["/login", "/logout", "/language"])
def test_a_form_needs_its_token(as_user: LogIn, path: str, token: str | None) -> None:
    inside = as_user("auditor")
    form = {"username": "engineer", "password": PASSWORD}
    answer = inside.post(path, form if token is None else {**form, "csrf": token})
    assert answer.status_code == 403
    assert "页面已过期" in answer.text
    # Nothing happened: neither logged out nor somebody else, and the language is the same.
    assert "审计员 · auditor" in inside.get("/claims").text


def test_a_token_of_another_session_does_not_count(as_user: LogIn) -> None:
    stranger, inside = as_user("leader"), as_user("auditor")
    assert inside.post("/logout", {"csrf": stranger.token("/claims")}).status_code == 403


def test_nothing_of_the_session_before_the_login_is_kept(visitor: Visitor) -> None:
    before = visitor.token()
    cookie = dict(visitor.cookies)
    visitor.log_in("engineer")
    assert dict(visitor.cookies) != cookie
    assert visitor.token("/streams") != before
    assert visitor.post("/logout", {"csrf": before}).status_code == 403


def test_a_cookie_kept_from_before_the_logout_is_worth_nothing(
    portal: FastAPI, as_user: LogIn
) -> None:
    inside, thief = as_user("engineer"), Visitor(portal)
    thief.cookies.update(inside.cookies)
    assert thief.get("/streams").status_code == 200
    assert inside.post("/logout", {"csrf": inside.token("/streams")}).status_code == 303
    assert inside.get("/streams").headers["location"] == "/login"
    assert thief.get("/streams").headers["location"] == "/login"


def test_a_new_password_ends_the_sessions_of_the_old_one(site: Site, as_user: LogIn) -> None:
    registry = wiring.registry(site.settings)
    save_user(registry, User("temp", hash_password(PASSWORD), Role.LEADER, None))
    inside = as_user("temp")
    assert inside.get("/metrics").status_code == 200
    save_user(registry, User("temp", hash_password("another one"), Role.LEADER, None))
    assert inside.get("/metrics").status_code == 303


def test_a_changed_cookie_is_nobody(as_user: LogIn) -> None:
    inside = as_user("leader")
    (name,) = dict(inside.cookies)
    body, rest = str(inside.cookies[name]).split(".", 1)
    inside.cookies.set(name, f"{body[:-2]}xx.{rest}", domain="portal.test", path="/")
    assert inside.get("/streams").headers["location"] == "/login"


def test_the_cookie_is_not_for_scripts_nor_for_other_sites(visitor: Visitor) -> None:
    said = visitor.get("/login").headers["set-cookie"].lower()
    assert "httponly" in said
    assert "samesite=lax" in said
    # Cookies know no ports: two portals of one machine have their own.
    assert said.startswith("nplusx-28000=")


def test_a_proxied_portal_keeps_its_cookie_to_https(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NPLUSX_PORTAL_SECURE_COOKIE", "true")
    assert "; secure" in Visitor(create_app()).get("/login").headers["set-cookie"]


def test_guessing_is_slowed_and_time_heals(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(clock, "monotonic", lambda: now)
    visitor = Visitor(create_app())
    for _ in range(10):
        assert visitor.log_in("engineer", "guess").status_code == 401
    slowed = visitor.log_in("engineer")
    assert slowed.status_code == 429
    assert "尝试次数过多" in slowed.text
    assert visitor.log_in("auditor").status_code == 303
    now += 301
    assert Visitor(visitor.app).log_in("engineer").status_code == 303


def test_who_gets_in_starts_anew(site: Site) -> None:
    visitor = Visitor(create_app())
    for _ in range(2):
        for _ in range(6):
            visitor.log_in("engineer", "guess")
        assert Visitor(visitor.app).log_in("engineer").status_code == 303


def test_many_checks_at_once_are_refused_not_queued(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttle, "_WAIT_SECONDS", 0.01)
    made = throttle.Throttle()
    tries = [made.trying(str(name)) for name in range(4)]
    for each in tries:
        each.__enter__()
    with pytest.raises(throttle.SlowedError), made.trying("one more"):
        pass
    for each in tries:
        each.__exit__(None, None, None)
    with made.trying("now there is room"):
        pass


def test_a_flood_of_names_does_not_wipe_what_was_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttle, "_MOST_NAMES", 3)
    made = throttle.Throttle()

    def try_once(name: str) -> None:
        with made.trying(name):
            pass

    for _ in range(10):
        try_once("victim")
        try_once("other")
    try_once("a")
    with pytest.raises(throttle.SlowedError):
        try_once("victim")
    assert len(made._tries) <= 3


@pytest.mark.parametrize(
    ("back", "where"),
    [
        ("/claims?x=1", "/claims?x=1"),
        ("https://evil.test/", "/"),
        ("//evil.test/", "/"),
        ("/\\evil.test", "/"),
        ("/\t/evil.test", "/"),
        ("/\n/evil.test", "/"),
        ("javascript:alert(1)", "/"),
        ("", "/"),
    ],
)
def test_the_language_switch_leads_nowhere_else(visitor: Visitor, back: str, where: str) -> None:
    answer = visitor.post("/language", {"csrf": visitor.token(), "back": back})
    assert (answer.status_code, answer.headers["location"]) == (303, where)


def test_chinese_comes_first_and_english_stays_over_the_login(visitor: Visitor) -> None:
    assert '<html lang="zh-CN">' in visitor.get("/login").text
    visitor.post("/language", {"csrf": visitor.token(), "back": "/login"})
    assert '<html lang="en">' in visitor.get("/login").text
    visitor.log_in("leader")
    assert "Log out" in visitor.get("/metrics").text
    visitor.post("/language", {"csrf": visitor.token("/metrics"), "back": "/metrics"})
    assert '<html lang="zh-CN">' in visitor.get("/metrics").text


def test_who_is_in_needs_no_form(as_user: LogIn) -> None:
    assert as_user("leader").get("/login").headers["location"] == "/"


def test_every_role_of_the_registry_is_tried_here() -> None:
    assert {role for role, _ in USERS.values()} == set(Role)
