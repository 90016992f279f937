"""Keys and registrations come back from a pack as they went in."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from kernel.evidence import SigningKey
from kernel.ids import AgentId
from pipeline.admission import Known
from pipeline.parties import (
    enterprises_text,
    keys_text,
    known_text,
    read_enterprises,
    read_keys,
    read_known,
)
from registry.keys import RegisteredKey
from registry.kinds import EnterpriseKind
from registry.people import Enterprise
from tests.rows import FACTORY

KEY = SigningKey(b"\x05" * 32).public
AT = datetime(2024, 6, 1, 8, tzinfo=UTC)
HELD = RegisteredKey(KEY, AgentId("agent-1"), FACTORY, AT)


@pytest.mark.parametrize("held", [HELD, replace(HELD, valid_to=AT), replace(HELD, revoked_at=AT)])
def test_a_key_comes_back_with_its_times(held: RegisteredKey) -> None:
    assert read_keys(keys_text([held])) == {KEY.id: held}


def test_a_key_does_not_pass_under_another_name() -> None:
    text = keys_text([HELD]).replace(KEY.id.encode(), b"0" * 16)
    assert read_keys(text) == {KEY.id: HELD}


def test_an_auditor_keeps_the_keys_and_the_enterprises_that_they_are_of() -> None:
    mine = Enterprise(FACTORY, "工厂", EnterpriseKind.FACTORY, "330523", "C2130")
    other = replace(mine, uscc="91330521MA2B3K7P07")
    kept = read_known(known_text(Known({KEY.id: HELD}, {FACTORY: mine, other.uscc: other})))
    assert kept == Known({KEY.id: HELD}, {FACTORY: mine})


@pytest.mark.parametrize("may", [True, False])
def test_a_registration_comes_back(may: bool) -> None:
    known = Enterprise(FACTORY, "工厂", EnterpriseKind.FACTORY, "330523", "C2130", may)
    assert read_enterprises(enterprises_text([known])) == {FACTORY: known}


def test_only_a_plain_yes_lets_a_sender_omit_signatures() -> None:
    known = Enterprise(FACTORY, "工厂", EnterpriseKind.FACTORY, "330523", "C2130", True)
    text = enterprises_text([known]).replace(b"true", b'"no"')
    assert not read_enterprises(text)[FACTORY].accepts_unsigned


@pytest.mark.parametrize("text", [b"[]", b'{"a": 1}', b'{"a": {}}', b"{"])
def test_what_is_of_another_form_is_an_error_that_a_caller_can_name(text: bytes) -> None:
    for read in (read_keys, read_enterprises, read_known):
        with pytest.raises((LookupError, TypeError, ValueError)):
            read(text)
