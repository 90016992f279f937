"""Whose key it is, and from when to when it counts."""

import base64
from datetime import datetime, timedelta

import pytest
from sqlalchemy import text

from kernel.errors import ConfigurationError
from kernel.evidence import SigningKey
from kernel.ids import AgentId, EnterpriseId, KeyId
from registry import keys, people
from registry.database import Registry
from tests.registry.samples import AT, FACTORY, USCC

AGENT = AgentId("factory-pc")
KEY = SigningKey.from_text(base64.b64encode(bytes(range(32))).decode(), "a test").public
OTHER = SigningKey.from_text(base64.b64encode(bytes(32)).decode(), "a test").public
SECOND = timedelta(seconds=1)


@pytest.fixture
def county(registry: Registry) -> Registry:
    """Know an agent with a key."""
    people.save_enterprise(registry, FACTORY)
    keys.save_agent(registry, AGENT, USCC)
    keys.save_key(registry, AGENT, KEY, AT)
    return registry


def test_the_keyring_says_whose_key_it_is(county: Registry) -> None:
    assert keys.agents(county) == {AGENT: USCC}
    found = keys.keyring(county)
    assert list(found) == [KEY.id]
    key = found[KEY.id]
    assert (key.key, key.agent, key.enterprise, key.valid_from) == (KEY, AGENT, USCC, AT)


@pytest.mark.parametrize(
    ("at", "is_accepted"),
    [(AT - SECOND, False), (AT, True), (AT + 2 * SECOND, True), (AT + 3 * SECOND, False)],
)
@pytest.mark.parametrize("stop", [keys.end_key, keys.revoke_key])
def test_a_key_counts_from_its_first_instant_up_to_its_end(
    county: Registry, stop: object, at: datetime, is_accepted: bool
) -> None:
    assert callable(stop)
    stop(county, KEY.id, AT + 3 * SECOND)
    assert keys.keyring(county)[KEY.id].accepts(at) is is_accepted


def test_an_earlier_revocation_stands(county: Registry) -> None:
    keys.revoke_key(county, KEY.id, AT + SECOND)
    keys.revoke_key(county, KEY.id, AT + 9 * SECOND)
    assert keys.keyring(county)[KEY.id].revoked_at == AT + SECOND


def test_a_key_that_has_ended_does_not_come_back(county: Registry) -> None:
    keys.end_key(county, KEY.id, AT + SECOND)
    keys.end_key(county, KEY.id, AT + 9 * SECOND)
    assert not keys.keyring(county)[KEY.id].accepts(AT + 5 * SECOND)


def test_registering_again_does_not_bring_a_revoked_key_back(county: Registry) -> None:
    keys.revoke_key(county, KEY.id, AT + SECOND)
    keys.save_key(county, AGENT, KEY, AT + 9 * SECOND)
    key = keys.keyring(county)[KEY.id]
    assert (key.valid_from, key.revoked_at) == (AT, AT + SECOND)


def test_agents_and_keys_never_change_hands(county: Registry) -> None:
    other = EnterpriseId("91330521MA2B3K7P07")
    with pytest.raises(ConfigurationError, match=f"belongs to {USCC}"):
        keys.save_agent(county, AGENT, other)
    keys.save_agent(county, AgentId("second-pc"), USCC)
    with pytest.raises(ConfigurationError, match="belongs to the agent factory-pc"):
        keys.save_key(county, AgentId("second-pc"), KEY, AT)


def test_an_unknown_key_or_agent_is_named(county: Registry) -> None:
    with pytest.raises(ConfigurationError, match="no key 00"):
        keys.revoke_key(county, KeyId("00"), AT)
    with pytest.raises(ConfigurationError, match="nplusx registry agent nobody"):
        keys.save_key(county, AgentId("nobody"), OTHER, AT)


def test_a_row_cannot_pass_one_key_off_as_another(county: Registry) -> None:
    other = base64.b64encode(OTHER.raw).decode()
    with county.writing() as session:
        session.execute(text("update agent_key set public_key = :other"), {"other": other})
    assert list(keys.keyring(county)) == [OTHER.id]
