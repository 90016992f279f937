"""The doctor: each thing that can be wrong is found, and nothing is when all is well."""

import itertools
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from bus.topics import topic_of
from contracts.loader import find
from kernel import canonical, clock
from kernel.errors import ChecksFailedError, ConfigurationError, TamperingError
from pipeline import audit as auditing
from pipeline import land as landing
from pipeline import promises
from pipeline.doctor import Health, examine, waive
from pipeline.findings import lost_findings
from pipeline.rounds import RoundReport, StreamReport
from pipeline.seal import pack_path
from pipeline.settings import DoctorSettings
from tests.pipeline.world import AGENTS, KEYS, World, play, row
from tests.rows import FACTORY
from warehouse import attempts, ledger, quarantine, words
from warehouse.delta import DeltaStore
from warehouse.landing import RECORDS
from warehouse.store import TableHandle

CONTRACT = "erp.payment.v1"
TABLE = find(CONTRACT).table
STREAM = f"{FACTORY}/{AGENTS[FACTORY]}/books/{CONTRACT}"


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(tmp_path, monkeypatch)


def look(world: World) -> Health:
    return examine(world.settings)


@pytest.mark.parametrize(("who", "why"), [("", "why"), ("who", " ")])
def test_a_word_names_somebody_and_gives_a_reason(who: str, why: str) -> None:
    with pytest.raises(ConfigurationError, match="Nobody"):
        words.Word(who, why, clock.now())
    with pytest.raises(ConfigurationError, match="has passed"):
        words.Word("who", "why", clock.now(), clock.now() - timedelta(days=1))


def test_nothing_is_found_where_all_is_well(world: World) -> None:
    assert look(world).ok
    play(world)
    health = look(world)
    assert (health.findings, health.notices) == ((), ())
    health.require()
    assert set(health.lag.values()) == {0}


def test_a_topic_whose_producers_choose_the_time_is_found(world: World) -> None:
    world.send(CONTRACT, row(CONTRACT))
    world.land()
    world.bus.by_producers.add(topic_of(find(CONTRACT).id))
    (finding,) = look(world).found
    assert "message.timestamp.type" in finding.what
    assert "LogAppendTime" in finding.cure


def test_a_partition_that_was_added_is_told_once_and_lands(world: World) -> None:
    world.send(CONTRACT, row(CONTRACT))
    world.land()
    assert look(world).notices == ()
    world.bus.add_partition(topic_of(find(CONTRACT).id))
    landing.land(CONTRACT)
    landing.land(CONTRACT)
    (notice,) = look(world).notices
    assert "partition 2 was added" in notice
    assert look(world).ok


def lose_a_row(world: World) -> None:
    handle = world.store.open(TABLE)
    handle.replace(handle.dataset().to_table().slice(1), {})


def double_a_row(world: World) -> None:
    handle = world.store.open(TABLE)
    handle.append(handle.dataset().to_table().slice(0, 1), {}, {})


def lose_a_record(world: World) -> None:
    handle = world.store.open(RECORDS)
    rows = handle.dataset().to_table()
    handle.replace(rows.filter(pa.compute.field("contract") != CONTRACT), {})


def lose_a_refusal(world: World) -> None:
    handle = world.store.open(quarantine.QUARANTINE)
    handle.replace(handle.dataset().to_table().slice(0, 0), {})


@pytest.mark.parametrize("harm", [lose_a_row, double_a_row, lose_a_record, lose_a_refusal])
def test_rows_that_do_not_add_up_are_found(world: World, harm: Callable[[World], None]) -> None:
    world.send(CONTRACT, row(CONTRACT), row(CONTRACT, payment_id="P2", payee_uscc="x" * 18))
    world.land()
    assert look(world).ok
    harm(world)
    (finding,) = look(world).findings
    assert finding.startswith(STREAM)
    assert "do not add up" in finding
    with pytest.raises(ChecksFailedError):
        look(world).require()


def test_a_number_that_never_came_is_found_until_it_comes(world: World) -> None:
    world.sent[STREAM] = 1
    world.send(CONTRACT, row(CONTRACT))
    world.sent[STREAM] = 10**12
    world.send(CONTRACT, row(CONTRACT, payment_id="P2"))
    world.land()
    assert look(world).findings == (
        f"{STREAM}, epoch e1: sequence 1 to 1 never came.",
        f"{STREAM}, epoch e1: sequence 3 to {10**12} never came.",
    )
    world.sent[STREAM] = 499
    world.send(CONTRACT, row(CONTRACT, payment_id="P3"))
    world.land()
    assert look(world).findings[1:] == (
        f"{STREAM}, epoch e1: sequence 3 to 499 never came.",
        f"{STREAM}, epoch e1: sequence 501 to {10**12} never came.",
    )


def test_records_that_wait_too_long_are_found(world: World) -> None:
    world.send(CONTRACT, row(CONTRACT))
    (finding,) = look(world).findings
    assert finding.startswith(f"{CONTRACT}: 1 offsets wait to be landed, the oldest since 2024")
    assert look(world).lag[CONTRACT] == 1
    world.land()
    assert look(world).ok


def test_what_lands_while_the_doctor_looks_is_no_finding(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.send(CONTRACT, row(CONTRACT))
    world.land()
    counted = attempts.records

    def and_meanwhile(*given: object, **named: object) -> pa.Table:
        found = counted(*given, **named)
        world.send(CONTRACT, row(CONTRACT, payment_id="P2"))
        world.land()
        return found

    monkeypatch.setattr(attempts, "records", and_meanwhile)
    assert look(world).findings == ()


def report(**changes: object) -> RoundReport:
    stream = StreamReport(CONTRACT, STREAM, 1, rows_ever=1, batches_ever=1, pending=0)
    known = {name: changes.pop(name) for name in list(changes) if hasattr(stream, name)}
    now = clock.now() - changes.pop("silent", timedelta())
    whole = RoundReport(
        AGENTS[FACTORY], FACTORY, "e1", KEYS[FACTORY].public.id, now, now,
        (replace(stream, **known),),
    )  # fmt: skip
    return replace(whole, **changes)


def settle_agent(world: World, told: RoundReport | None) -> None:
    """Put an agent beside the platform, with what it last said."""
    folder = world.settings.state_dir / "agents"
    folder.mkdir(parents=True, exist_ok=True)
    key = world.settings.state_dir / "keys" / "agent.key"
    key.parent.mkdir(exist_ok=True)
    path = folder / "agent-1.yaml"
    path.write_text(
        f'agent:\n  id: agent-1\n  enterprise: "{FACTORY}"\n  key_file: ../keys/agent.key\n'
        "  outbox: ../outbox/agent-1.sqlite\n"
        "sources:\n- id: books\n  preset: yonyou_u8\n  url: sqlite:///none\n"
        "  zone: Asia/Shanghai\npoll_seconds: 5\n",
        encoding="utf-8",
    )
    from connectors.config import load_agent

    status = load_agent(path).status_file
    status.parent.mkdir(exist_ok=True)
    if told is not None:
        status.write_bytes(canonical.dumps(asdict(told)))


def test_a_hole_that_a_person_explained_is_listed_and_no_longer_red(world: World) -> None:
    world.sent[STREAM] = 1
    world.send(CONTRACT, row(CONTRACT))
    world.send(CONTRACT, row(CONTRACT, payment_id="P2", payee_uscc="x" * 18))
    world.land()
    settle_agent(world, report(batches_ever=3, rows_ever=3))
    (hole,) = look(world).unexplained
    until = clock.now() + timedelta(days=1)
    word = words.Word("engineer", "the factory lost its disk", clock.now(), until)
    assert waive([hole.id, hole.id], word) == (hole,)
    health = look(world)
    assert health.ok
    health.require()
    (listed,) = health.as_json()["findings"]
    assert (listed["id"], listed["what"]) == (hole.id, hole.what)
    assert listed["acknowledged"]["who"] == "engineer"
    with pytest.raises(ConfigurationError, match="nothing unexplained by the id"):
        waive([hole.id], word)
    # It holds for what it was said of, and as long as it was said.
    world.sent[STREAM] += 4
    world.send(CONTRACT, row(CONTRACT, payment_id="P3"))
    world.land()
    assert f"{STREAM}, epoch e1: sequence 4 to 7 never came." in look(world).findings
    assert hole.what not in look(world).findings
    assert hole.id in words.newest(world.store, words.OF_FINDINGS, until - timedelta(seconds=1))
    assert words.newest(world.store, words.OF_FINDINGS, until) == {}


def test_what_does_not_add_up_cannot_be_explained_away(world: World) -> None:
    world.send(CONTRACT, row(CONTRACT))
    world.land()
    lose_a_row(world)
    (finding,) = look(world).unexplained
    with pytest.raises(ConfigurationError, match="not for explaining"):
        waive([finding.id], words.Word("engineer", "never mind", clock.now()))


def test_a_disagreement_of_the_audit_is_red_until_a_person_takes_it_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.send(CONTRACT, row(CONTRACT), row(CONTRACT, payment_id="P2"))
    world.land()
    monkeypatch.setattr(
        auditing, "second_opinion", lambda rows, *_: [{"paid_on.minimum"}] * rows.num_rows
    )
    with pytest.raises(ChecksFailedError, match="disagree on 2 rows"):
        auditing.audit(world.settings)
    (finding,) = look(world).unexplained
    assert finding.what == f"{CONTRACT}: gate and second opinion disagree on 2 rows."
    word = words.Word("auditor", "a rounding of the source", clock.now())
    waive([finding.id], word, world.settings)
    health = look(world)
    assert health.ok
    (taken,) = health.found
    assert taken.word == {"who": "auditor", "why": "a rounding of the source"}
    assert auditing.audit(world.settings)["findings"] == 0
    # It was said of those rows, and of no others.
    world.send(CONTRACT, row(CONTRACT, payment_id="P3"))
    world.land()
    with pytest.raises(ChecksFailedError, match="disagree on 1 rows"):
        auditing.audit(world.settings)
    assert sorted(each.word is None for each in look(world).found) == [False, True]


def test_an_id_may_be_cut_short_where_only_one_begins_so(world: World) -> None:
    order = "erp.sales_order.v1"
    for number in range(20):
        for text in "AB":
            world.send(order, row(order, order_id=f"SO{number}", order_no=text))
    world.land()
    promises.look(world.settings)
    ids = sorted(each.id for each in look(world).unexplained)
    word = words.Word("engineer", "known", clock.now())
    # Of so many ids two at least begin with one digit.
    shared = next(a[0] for a, b in itertools.pairwise(ids) if a[0] == b[0])
    for vague in ("", shared, "nothing"):
        with pytest.raises(ConfigurationError, match="unexplained by the id"):
            waive([vague], word, world.settings)
    (named,) = waive([ids[0][:8]], word, world.settings)
    assert named.id == ids[0]


def test_a_factorys_source_of_which_nothing_comes_is_stale_and_an_authoritys_is_not(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.send(CONTRACT, row(CONTRACT))
    world.send("erp.sales_order.v1", row("erp.sales_order.v1"))
    world.send("gov.enterprise.v1", row("gov.enterprise.v1"))
    world.land()
    assert look(world).ok
    chosen = DoctorSettings(stale_hours=24)
    settings = world.settings.model_copy(update={"doctor": chosen})
    (stale,) = examine(settings).unexplained
    assert stale.what.startswith(f"{STREAM.rpartition('/')[0]}: nothing has come since 2024-01-01T")
    word = words.Word("engineer", "closed for the holiday", clock.now())
    monkeypatch.setenv("NPLUSX_DOCTOR_STALE_HOURS", "24")
    waive([stale.id], word)
    assert examine(settings).ok


AGENT_TELLS: dict[str, dict[str, object] | None] = {
    "": {},
    " ": {"pending": 1, "batches_ever": 2, "rows_ever": 9},
    "agent agent-1 has never made a round.": None,
    "agent agent-1 is silent since": {"silent": timedelta(hours=1)},
    "in trouble: the source does not answer": {"error": "the source does not answer"},
    "the agent sent 2 batches of epoch e1 and 1 came.": {"batches_ever": 2, "rows_ever": 2},
    "the agent sent 1 batches of epoch e2 and 0 came.": {"epoch": "e2"},
    "the agent sent 2 rows and 1 came.": {"rows_ever": 2},
}


@pytest.mark.parametrize("finding", AGENT_TELLS)
def test_what_an_agent_counts_must_have_come(world: World, finding: str) -> None:
    changes = AGENT_TELLS[finding]
    told = None if changes is None else report(**changes)
    world.send(CONTRACT, row(CONTRACT))
    world.send(CONTRACT, row(CONTRACT))
    world.bus.log_of(f"nplusx.{CONTRACT}", partition(world)).pop()
    world.land()
    settle_agent(world, told)
    findings = look(world).findings
    if finding.strip():
        assert len(findings) == 1
        assert finding in findings[0]
    else:
        assert findings == ()


def partition(world: World) -> int:
    topic = f"nplusx.{CONTRACT}"
    return next(p for p, (_, end) in world.bus.extents([topic])[topic].spans.items() if end)


def test_a_pack_that_is_gone_or_changed_is_found(world: World) -> None:
    play(world)
    path = pack_path(world.settings, ledger.entries(world.store)[0])
    kept = path.read_bytes()
    path.write_bytes(kept + b"\x00")
    assert "is not the one that was sealed" in look(world).findings[0]
    path.unlink()
    assert "is missing" in look(world).findings[0]
    path.write_bytes(kept)
    assert look(world).ok


def test_an_entry_cut_off_the_ledger_is_tampering(world: World) -> None:
    play(world)
    handle = world.store.open(ledger.TABLE)
    handle.replace(handle.dataset().to_table().slice(0, 0), {})
    with pytest.raises(TamperingError, match="1 were sealed"):
        look(world)


def test_a_county_key_that_is_gone_is_a_finding_among_the_others(world: World) -> None:
    play(world)
    (world.settings.state_dir / "keys" / "county.key").unlink()
    (entry,) = ledger.entries(world.store)
    pack_path(world.settings, entry).unlink()
    gone, pack = look(world).found
    assert "county.key" in gone.what
    assert "restore that file from a backup" in gone.cure
    assert "missing" in pack.what


def test_what_is_left_of_lost_tables_is_found_without_opening_the_others_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    play(world)
    moment = attempts.Moment.now(world.store)
    opened, names = DeltaStore.open, list[str]()

    def counted(self: DeltaStore, name: str, version: int | None = None) -> TableHandle:
        names.append(name)
        return opened(self, name, version)

    monkeypatch.setattr(DeltaStore, "open", counted)
    assert list(lost_findings(world.store, moment)) == []
    assert sorted(names) == sorted([RECORDS, quarantine.QUARANTINE])
