"""Every kind of connector passes one suite, each before a real source that means it ill."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from connectors import kinds
from connectors.mapping import map_rows
from kernel.registry import modules_in
from tests.connectors.acceptance.machines import ModbusStand, OpcuaStand, RestStand, SparkplugStand
from tests.connectors.acceptance.stand import KEYS, LONG, Reader, Row, Stand, upsert
from tests.connectors.acceptance.tables import (
    CdcStand,
    FilesStand,
    OdataStand,
    SingerStand,
    SqlStand,
)
from tests.connectors.logged import mysql_table, postgres_table
from tests.connectors.machines import opcua_reading
from tests.connectors.machines.broker import mosquitto
from tests.connectors.machines.processes import Program

pytestmark = pytest.mark.real_system

Make = Callable[[pytest.FixtureRequest, Path, ExitStack], Stand]


def _sql(name: str) -> Make:
    return lambda request, _folder, _stack: SqlStand(request.getfixturevalue(f"{name}_database"))


MAKERS: dict[str, Make] = {
    **{f"sql {name}": _sql(name) for name in ("sqlite", "duckdb", "postgres", "mariadb")},
    "cdc postgres": lambda request, *_: CdcStand(
        postgres_table(request.getfixturevalue("postgres"))
    ),
    "cdc mariadb": lambda request, *_: CdcStand(mysql_table(request.getfixturevalue("mariadb"))),
    "files": lambda _request, folder, _stack: FilesStand(folder),
    "odata": lambda request, folder, _: OdataStand(request.getfixturevalue("orders"), folder),
    "singer": lambda _request, folder, _stack: SingerStand(folder),
    "rest": lambda _, folder, stack: RestStand(folder, stack),
    "opcua": lambda request, _, stack: OpcuaStand(request.getfixturevalue("opcua"), stack),
    "sparkplug": lambda request, _, stack: SparkplugStand(request.getfixturevalue("broker"), stack),
    "modbus": lambda request, *_: ModbusStand(request.getfixturevalue("device")),
}


@pytest.fixture(scope="module")
def opcua(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    with opcua_reading.running(tmp_path_factory.mktemp("opcua"), names=KEYS) as made:
        yield made


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    made = mosquitto(tmp_path_factory.mktemp("broker"))
    made.start()
    yield made
    made.kill()


@pytest.fixture(params=MAKERS)
def stand(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stand]:
    folder = tmp_path / "stand"
    folder.mkdir()
    with ExitStack() as stack:
        yield MAKERS[request.param](request, folder, stack)


def test_every_kind_has_a_stand() -> None:
    """Being in the folder of kinds is being tried here."""
    assert {name.split()[0] for name in MAKERS} == set(modules_in(kinds))


def fill(stand: Stand) -> list[Row]:
    """Write every odd key; give what should come of it."""
    for number, key in enumerate(stand.keys):
        stand.put(key, stand.note(number))
    return [upsert(key, stand.note(number)) for number, key in enumerate(stand.keys)]


def told(stand: Stand, rows: list[Row]) -> Counter[Row]:
    """Count rows; what a source may tell again counts once."""
    return Counter(set(rows) if stand.tells_again else rows)


def test_each_row_comes_once_then_what_changed_and_what_is_gone(stand: Stand) -> None:
    rows = fill(stand)
    if stand.has_null_keys:
        stand.put(None, stand.note(100))
        rows.append(upsert(None, stand.note(100)))
    with closing(Reader(stand)) as reader:
        assert told(stand, reader.news()) == Counter(rows)
        assert reader.news(some=False) == []
        changed = stand.keys[3]
        new = LONG if stand.has_long_texts else stand.note(200)
        stand.put(changed, new)
        assert reader.news() == [upsert(changed, new)]
        if stand.has_deletes:
            stand.remove(stand.keys[1])
            ((key, _, done),) = reader.news()
            assert (key, done) == (stand.keys[1], "delete")
        assert reader.news(some=False) == []
        if stand.has_long_texts:
            stand.put(stand.keys[5], "2024-03-05 08:00:00")
            reader.news()
            assert instants(reader)[-1] == datetime(2024, 3, 5, 11, 30, tzinfo=UTC)


def instants(reader: Reader) -> list[object]:
    """Read notes as times of a source that is half an hour off the hour."""
    plan, at = reader.stand.plan, "cast(cast(note as timestamp) as timestamptz) as at"
    timed = replace(plan, mapping=f"from ({plan.mapping}) select {at}")
    assert reader.raw is not None
    return map_rows(reader.raw, timed, "America/St_Johns")["at"].to_pylist()


def test_from_each_cursor_the_same_is_read_on_whoever_reads(stand: Stand) -> None:
    rows = fill(stand)
    with closing(Reader(stand, reopens=True)) as reader:
        assert told(stand, reader.news()) == Counter(rows)
        again = told(stand, reader.news(some=False))
        assert again == (again & Counter(rows) if stand.tells_again else Counter())


def test_what_changes_while_it_is_read_is_as_it_is_in_the_end(stand: Stand) -> None:
    fill(stand)

    def meddle() -> None:
        for number, key in enumerate(stand.keys[::4], 300):
            stand.put(key, stand.note(number))
        if stand.has_deletes:
            stand.remove(stand.keys[1])
            stand.remove(stand.keys[-1])

    expected = {key: stand.note(number) for number, key in enumerate(stand.keys)}
    expected |= {key: stand.note(number) for number, key in enumerate(stand.keys[::4], 300)}
    if stand.has_deletes:
        del expected[stand.keys[1]], expected[stand.keys[-1]]
    with closing(Reader(stand)) as reader:
        reader.news(between=meddle)
        reader.news(some=False)
        assert reader.state == expected
        assert reader.news(some=False) == []
