"""The county takes certificates of its own agents only, and `explain` points to them."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from kernel import clock
from kernel.errors import ConfigurationError, NplusxError
from kernel.evidence import SigningKey
from kernel.ids import AgentId
from pipeline import wiring
from pipeline.certificate import Certificate, Outcome, Part, sign
from pipeline.certified import take
from pipeline.explain import explain
from registry.keys import revoke_key, save_agent, save_key
from tests.pipeline.world import AGENTS, AUTHORITY, CLAIM, KEYS, LONG_AGO, World, play
from tests.rows import FACTORY

PAYMENT = "erp.payment.v1"
KEY = KEYS[FACTORY]
OTHER = SigningKey(b"\x03" * 32)


PASSED = Part("first read", PAYMENT, Outcome.PASSED, "9 rows")
FAILED = Part("resume", PAYMENT, Outcome.FAILED, "2 rows lost")
SKIPPED = Part("soak", PAYMENT, Outcome.SKIPPED, "the books are closed at night")


def certificate(
    key: SigningKey = KEY, finished_at: datetime = LONG_AGO, part: Part = PASSED
) -> Certificate:
    return Certificate(
        nplusx="0.1.0",
        agent=AGENTS[FACTORY],
        key_id=key.public.id,
        public_key=key.public.text,
        enterprise=FACTORY,
        source="books",
        kind="sql",
        preset="yonyou_u8",
        preset_digest="0" * 64,
        streams=(PAYMENT,),
        started_at=LONG_AGO,
        finished_at=finished_at,
        parts=(part, SKIPPED),
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "certificate.json"


def walked() -> list[str]:
    return [line.strip() for line in explain(CLAIM).lines()]


def test_every_row_points_to_its_certificate_or_is_flagged(world: World, file: Path) -> None:
    play(world)
    flagged = [line for line in walked() if line.startswith("NOT CERTIFIED")]
    rows = sum(" row " in line for line in walked())
    assert len(flagged) == rows > 0
    assert f"source books of agent agent-1 for {PAYMENT}" in " ".join(flagged)
    file.write_bytes(sign(certificate(), KEY) + b"\n")
    taken = take(file, world.settings)
    assert take(file, world.settings).digest == taken.digest
    named = [line for line in walked() if taken.digest[:16] in line]
    payments = sum("landing__erp_payment_v1 row" in line for line in walked())
    assert len(named) == payments > 0
    assert all(
        "yonyou_u8" in line and "soak of erp.payment.v1: the books" in line for line in named
    )
    assert sum(line.startswith("NOT CERTIFIED") for line in walked()) == rows - payments


def test_a_row_that_was_sent_before_the_certificate_says_so(world: World, file: Path) -> None:
    play(world)
    file.write_bytes(sign(certificate(KEY, clock.now()), KEY))
    take(file, world.settings)
    assert any("AFTER this record was sent" in line for line in walked())
    # An earlier one counts for it, as soon as the county has it.
    file.write_bytes(sign(certificate(), KEY))
    take(file, world.settings)
    assert not any("AFTER this record was sent" in line for line in walked())


@pytest.mark.parametrize(
    ("made", "key", "says"),
    [
        (certificate(OTHER), OTHER, "does not count"),
        (certificate(KEYS[AUTHORITY]), KEYS[AUTHORITY], "its key for county-1"),
        (certificate(KEY, LONG_AGO, FAILED), KEY, "resume of erp.payment.v1"),
        (certificate(KEY, clock.now() + timedelta(days=1)), KEY, "yet to come"),
    ],
)
def test_what_proves_nothing_is_not_taken(
    world: World, file: Path, made: Certificate, key: SigningKey, says: str
) -> None:
    file.write_bytes(sign(made, key))
    with pytest.raises(NplusxError, match=says):
        take(file, world.settings)
    assert wiring.certificates(world.settings) == ()


def test_a_revoked_key_certifies_nothing(world: World, file: Path) -> None:
    registry = wiring.registry(world.settings)
    save_agent(registry, AgentId("second"), FACTORY)
    save_key(registry, AgentId("second"), OTHER.public, LONG_AGO)
    file.write_bytes(sign(replace(certificate(OTHER), agent="second"), OTHER))
    revoke_key(registry, OTHER.public.id, clock.now())
    with pytest.raises(ConfigurationError, match="does not count"):
        take(file, world.settings)
