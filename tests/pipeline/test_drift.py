"""Columns that nobody promised and wider types land, and are told once per stream and version."""

import io
from dataclasses import asdict, replace
from pathlib import Path

import pyarrow as pa
import pytest

from bus.ports import Record
from contracts.loader import find
from contracts.model import Contract
from kernel import canonical, clock
from pipeline import replay
from pipeline.doctor import examine
from pipeline.drift import MOST
from tests.pipeline.county import County, payments
from tests.pipeline.world import World, row
from tests.rows import arrow_rows, ipc, record_of, stream_of
from warehouse import attempts

CONTRACT = find("erp.payment.v1")
STREAM = stream_of(CONTRACT).id


@pytest.fixture
def county(tmp_path: Path) -> County:
    return County(tmp_path)


def told(county: County) -> list[tuple[object, ...]]:
    commits = county.store.open(CONTRACT.table).commits()
    found = [each for commit in commits for each in commit.facts.get("drift", ())]
    return [tuple(each[n] for n in ("stream", "column", "given", "promised")) for each in found]


def wider(number: int, **columns: pa.Array) -> Record:
    """Payments with columns put beside or in the place of the promised ones."""
    table = arrow_rows(CONTRACT, payments(number))
    for name, column in columns.items():
        if name in table.column_names:
            table = table.drop_columns([name])
        table = table.append_column(name, column)
    return record_of(CONTRACT, payments(number), sequence=number, body=ipc(table))


def lines(number: int, **more: object) -> Record:
    body = canonical.dumps({**payments(number)[0], **more})
    return record_of(
        CONTRACT, payments(number), sequence=number, body=body, content_type="application/json"
    )


def test_a_column_that_nobody_promised_is_kept_and_told_once(county: County) -> None:
    odd = pa.array(["x"])
    county.send(wider(1, odd=odd), wider(2, odd=odd))
    county.land()
    county.send(wider(3, odd=odd), record_of(CONTRACT, payments(4), sequence=4))
    county.land()
    assert told(county) == [(STREAM, "odd", "string", "")]
    assert [each["_extra"] for each in county.landed()] == [*['{"odd":"x"}'] * 3, None]


def test_json_tells_of_its_columns_too_and_not_of_those_that_are_empty(county: County) -> None:
    county.send(lines(1, odd=1, none=None), lines(2, odd="x", other=[1]))
    county.land()
    assert told(county) == [(STREAM, "odd", "json", ""), (STREAM, "other", "json", "")]


LOSSLESS = {
    "a whole number for an amount": (pa.array([113000], pa.int64()), "int64"),
    "a small number for an amount": (pa.array([113], pa.int16()), "int16"),
    "a narrower amount": (pa.array([113], pa.decimal128(9, 1)), "decimal128(9, 1)"),
    "a wider amount that fits": (pa.array([113], pa.decimal128(38, 4)), "decimal128(38, 4)"),
}


@pytest.mark.parametrize("case", LOSSLESS)
def test_a_type_that_loses_nothing_lands_and_is_told(county: County, case: str) -> None:
    amounts, given = LOSSLESS[case]
    county.send(wider(1, paid_amount=amounts))
    county.land()
    assert county.verdicts() == ["landed"]
    promised = str(arrow_rows(CONTRACT, payments(1)).schema.field("paid_amount").type)
    assert told(county) == [(STREAM, "paid_amount", given, promised)]


LOSSY = {
    "a binary fraction for an amount": {"paid_amount": pa.array([99.9])},
    "more digits than an amount has": {"paid_amount": pa.array([10**30], pa.decimal128(38, 0))},
    "a day for an instant": {"updated_at": pa.array([0], pa.date32())},
    "an instant without a zone": {"updated_at": pa.array([0], pa.timestamp("us"))},
    "an instant for a day": {"paid_on": pa.array([0], pa.timestamp("us", "UTC"))},
}


@pytest.mark.parametrize("case", LOSSY)
def test_a_type_that_could_lose_something_is_quarantined_and_not_told(
    county: County, case: str
) -> None:
    county.send(wider(1, **LOSSY[case]))
    county.land()
    assert county.verdicts() == ["quarantined"]
    assert told(county) == []


def test_each_stream_and_each_version_is_told_by_itself(county: County) -> None:
    odd = pa.array(["x"])
    county.send(wider(1, odd=odd))
    county.land()
    newer = replace(CONTRACT, version="1.9.0", digest="newer")
    county.send(wider(2, odd=odd))
    county.land(newer)
    county.send(wider(3, odd=odd))
    county.land(newer)
    assert told(county) == [(STREAM, "odd", "string", "")] * 2


def test_what_the_contract_has_adopted_is_told_no_more(county: County) -> None:
    kept = tuple(each for each in CONTRACT.properties if each.name != "bank_reference")
    earlier = replace(CONTRACT, version="0.9.0", properties=kept)
    county.send(record_of(CONTRACT, payments(1)))
    county.land(earlier)
    assert told(county) == [(STREAM, "bank_reference", "string", "")]
    county.send(record_of(CONTRACT, payments(2), sequence=2))
    county.land()
    assert len(told(county)) == 1


def test_two_landers_that_race_tell_once(county: County) -> None:
    odd = pa.array(["x"])
    county.send(wider(1, odd=odd))
    slow, quick = county.lander(), county.lander()
    written = slow._write

    def late(*of: object) -> object:
        quick.drain()
        return written(*of)

    slow._write = late
    slow.drain()
    assert told(county) == [(STREAM, "odd", "string", "")]
    assert len(county.landed()) == 1


def test_who_invents_columns_without_end_is_told_of_so_many(county: County) -> None:
    for start in (0, 150):
        many = {f"c{start + n}": n for n in range(150)}
        county.send(lines(start + 1, **many, **{"x" * 5000: 1}))
        county.land()
    assert len(told(county)) == MOST
    assert max(len(str(column)) for _, column, _, _ in told(county)) <= 100


def test_a_row_that_lands_after_all_tells_of_its_columns(county: County) -> None:
    known = dict(county.keys)
    county.keys.clear()
    county.send(wider(1, odd=pa.array(["x"])))
    county.land()
    assert told(county) == []
    county.keys.update(known)
    work = replay._Replay(county.settings, CONTRACT, county.store, county.lander()._known())
    work.judge(attempts.waiting(county.store, clock.now()))
    assert told(county) == [(STREAM, "odd", "string", "")]


def drifted(world: World, contract: Contract) -> None:
    """Send what the contract promises, and a column and a type besides."""
    from tests.pipeline import world as played

    plain = played.arrow_rows

    def odd(*of: object) -> pa.Table:
        table = plain(*of).append_column("odd", pa.array(["x"]))
        amounts = table["paid_amount"].cast(pa.decimal128(38, 4))
        return table.drop_columns(["paid_amount"]).append_column("paid_amount", amounts)

    played.arrow_rows = odd
    try:
        world.send(contract.id, row(contract.id))
    finally:
        played.arrow_rows = plain
    world.land()


def test_the_doctor_tells_of_drift_and_is_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path, monkeypatch)
    drifted(world, CONTRACT)
    health = examine(world.settings)
    assert health.ok, asdict(health)
    wide, unknown = health.notices
    assert "odd" in unknown
    assert "_extra" in unknown
    assert "paid_amount comes as decimal128(38, 4)" in wide


def test_showing_a_contract_shows_its_drift(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.pipeline.commands.test_contract import nplusx

    world = World(tmp_path, monkeypatch)
    assert "odd" not in nplusx("show", CONTRACT.id).output
    drifted(world, CONTRACT)
    assert "odd, which" in nplusx("show", CONTRACT.id).output


def test_zstd_and_plain_bodies_tell_the_same(county: County) -> None:
    table = arrow_rows(CONTRACT, payments(1)).append_column("odd", pa.array(["x"]))
    sink = io.BytesIO()
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_stream(sink, table.schema, options=options) as stream:
        stream.write_table(table)
    county.send(record_of(CONTRACT, payments(1), body=sink.getvalue()), wider(2, odd=table["odd"]))
    county.land()
    assert told(county) == [(STREAM, "odd", "string", "")]
