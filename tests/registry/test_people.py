"""Enterprises, users and their passwords."""

from dataclasses import replace

import pytest

from registry import people
from registry.database import Registry
from registry.kinds import Role
from registry.people import User
from tests.registry.samples import FACTORY, USCC

USER = User("li", people.hash_password("对的密码"), Role.FACTORY, USCC)


def test_enterprises_come_back_by_their_codes(registry: Registry) -> None:
    people.save_enterprise(registry, FACTORY)
    people.save_enterprise(registry, replace(FACTORY, accepts_unsigned=True))
    assert people.enterprises(registry) == {USCC: replace(FACTORY, accepts_unsigned=True)}


def test_a_user_is_found_by_name(registry: Registry) -> None:
    people.save_enterprise(registry, FACTORY)
    people.save_user(registry, USER)
    people.save_user(
        registry, replace(USER, username="wang", role=Role.LEADER, enterprise_uscc=None)
    )
    assert people.find_user(registry, "li") == USER
    wang = people.find_user(registry, "wang")
    assert wang is not None
    assert (wang.role, wang.enterprise_uscc) == (Role.LEADER, None)
    assert people.find_user(registry, "' or 1=1 --") is None


def test_only_the_right_password_is_right() -> None:
    assert people.check_password(USER, "对的密码")
    assert not people.check_password(USER, "错的密码")
    assert not people.check_password(USER, "")


def test_nobody_has_no_password_but_costs_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    costs = []
    real = people._scrypt

    def counted(password: str, salt: bytes, cost: tuple[int, int, int]) -> bytes:
        costs.append((cost, len(salt)))
        return real(password, salt, cost)

    monkeypatch.setattr(people, "_scrypt", counted)
    assert not people.check_password(None, "x")
    assert not people.check_password(USER, "x")
    assert costs[0] == costs[1]


def test_equal_passwords_have_different_hashes() -> None:
    assert people.hash_password("x") != people.hash_password("x")


@pytest.mark.parametrize("broken", ["", "x", "scrypt$1$8$1$AAAA$AAAA", "scrypt$a$8$1$A$A", "$$$$$"])
def test_a_broken_hash_lets_nobody_in(broken: str) -> None:
    assert not people.check_password(replace(USER, password_hash=broken), "x")


def test_a_user_never_shows_the_hash() -> None:
    assert USER.password_hash not in repr(USER)
