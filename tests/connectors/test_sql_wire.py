"""What is cut off MySQL's wire is what the driver says that each row holds, whatever it holds."""

# ruff: noqa: S608 - the statements are the test's own

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from connectors.base import ZONE
from connectors.sql.complaints import plain
from connectors.sql.streams import Database
from connectors.tables import column_of, together
from tests.certificates import Authority
from tests.servers import MariaServer

pytestmark = pytest.mark.real_system

_MOST = (1 << 24) - 1
# By type, what Arrow makes of it and values; the last column's are what only the driver reads.
TYPES: dict[str, tuple[pa.DataType, tuple[str, ...]]] = {
    "tinyint": (pa.int64(), ("-128", "127")),
    "tinyint unsigned zerofill": (pa.int64(), ("0", "7")),
    "smallint": (pa.int64(), ("-32768", "32767")),
    "mediumint": (pa.int64(), ("-8388608", "8388607")),
    "int unsigned": (pa.int64(), ("0", "4294967295")),
    "bigint": (pa.int64(), ("-9223372036854775808", "9223372036854775807")),
    "bigint unsigned": (pa.int64(), ("0", "9223372036854775807")),
    "year": (pa.int64(), ("0", "2155")),
    "float": (pa.float64(), ("-3.40282e38", "0.1")),
    "double": (pa.float64(), ("-1.7976931348623157e308", "2.2250738585072014e-308", "0.1")),
    "decimal(38,10)": (pa.decimal128(38, 10), (f"-{'9' * 28}.{'9' * 10}", "0.0000000001")),
    "decimal(18,4) unsigned": (pa.decimal128(18, 4), ("99999999999999.9999", "0")),
    "decimal(5,0)": (pa.decimal128(5, 0), ("-99999", "3")),
    "decimal(4,4)": (pa.decimal128(4, 4), ("-0.9999", "0.0001")),
    "date": (pa.date32(), ("'1000-01-01'", "'9999-12-31'")),
    "datetime": (pa.timestamp("us"), ("'0001-01-01'", "'9999-12-31 23:59:59'")),
    "datetime(6)": (pa.timestamp("us"), ("'1969-12-31 23:59:59.999999'", "'2024-02-29'")),
    "datetime(3)": (pa.timestamp("us"), ("'2024-03-31 02:30:00.123'", "'2024-02-29'")),
    "timestamp(6) null": (pa.timestamp("us"), ("'1971-01-01'", "'2037-12-31 23:59:59.5'")),
    "time(6)": (pa.duration("us"), ("'-838:59:59.999999'", "'00:00:00.000001'")),
    "char(9)": (pa.string(), ("''", "'a\\\\b%''\\0'")),
    "varchar(300)": (pa.string(), ("repeat('中', 84)", "repeat('😀', 300)")),
    "longtext": (pa.string(), ("repeat('x', 250)", "repeat('x', 251)", "repeat('x', 70000)")),
    "varchar(9) character set gbk": (pa.string(), ("'采购订单'", "''")),
    "varchar(9) character set latin1": (pa.string(), ("'é'", "''")),
    "enum('开','关')": (pa.string(), ("'开'", "'关'")),
    "set('a','b')": (pa.string(), ("'a,b'", "''")),
    "json": (pa.string(), ("'{\"a\": [1, null]}'", "'null'")),
    "uuid": (pa.string(), ("'123e4567-e89b-12d3-a456-426655440000'",)),
    "inet6": (pa.string(), ("'::1'",)),
    "bit(1)": (pa.binary(), ("b'1'", "b'0'")),
    "bit(64)": (pa.binary(), (f"b'{'1' * 64}'", "b'10'")),
    "binary(4)": (pa.binary(), ("x'00ff'", "x'fbfcfdfe'")),
    "longblob": (pa.binary(), ("x''", "x'fb'", "repeat(x'ff', 70000)")),
    "point": (pa.binary(), ("point(1, 2)",)),
    # As the driver does.
    "decimal(65,30)": (pa.decimal128(31, 30), ("-1.5", "2.000000000000000000000000000001")),
}
ONLY_MARIADB = ("uuid", "inet6")
# What Arrow alone would read otherwise, or not at all.
ODD: dict[str, tuple[pa.DataType, tuple[str, ...]]] = {
    "bigint unsigned": (pa.uint64(), ("18446744073709551615", "1")),
    "decimal(65,5)": (pa.string(), ("9" * 60, "1")),
    "date": (pa.string(), ("'0000-00-00'", "'2024-01-01'")),
    "datetime": (pa.string(), ("'0000-00-00'", "'2024-00-15'", "'2024-01-01 08:00'")),
    "datetime(6)": (pa.string(), ("'0000-01-01'", "'2024-01-01'")),
}


@pytest.fixture
def mine(mariadb: MariaServer) -> Iterator[Database]:
    """Give an empty database as it is read."""
    database = Database(sa.make_url(mariadb.fresh()), ZONE)
    yield database
    database.close()


def run(mariadb: MariaServer, database: Database, *statements: str) -> None:
    with mariadb.root() as db, db.cursor() as cursor:
        cursor.execute(f"use {database.url.database}")
        cursor.execute("set session sql_mode = 'ALLOW_INVALID_DATES'")
        for each in statements:
            cursor.execute(each)
        db.commit()


def read(database: Database, query: str) -> pa.Table:
    """Ask as the connector does."""
    asked = sa.select(sa.literal_column("*")).select_from(sa.text(f"({query}) as asked"))
    return together(list(database.stream(asked, 1)))


def by_the_driver(database: Database, query: str) -> list[list[object]]:
    """Give the columns of an answer, value by value as the driver reads them."""
    with database.engine.connect() as connection:
        rows = connection.exec_driver_sql(query).fetchall()
    return [column_of(each).to_pylist() for each in zip(*rows, strict=True)]


def fill(
    mariadb: MariaServer, database: Database, columns: list[tuple[str, tuple[str, ...]]]
) -> None:
    """Make a table with a column each, and rows of all values, of nothing, of nothing but nulls."""
    made = ", ".join(f"c{n} {kind}" for n, (kind, _) in enumerate(columns))
    most = max(len(values) for _, values in columns)
    rows = [
        ", ".join(values[at] if at < len(values) else "null" for _, values in columns)
        for at in range(most + 1)
    ]
    run(
        mariadb,
        database,
        f"create table thing ({made})",
        *(f"insert into thing values ({each})" for each in rows),
    )


@pytest.mark.parametrize("name", ["mariadb", "mysql"])
@pytest.mark.parametrize("types", [TYPES, ODD], ids=["types", "odd"])
def test_every_type_is_read_as_the_driver_reads_it(
    request: pytest.FixtureRequest,
    name: str,
    types: dict[str, tuple[pa.DataType, tuple[str, ...]]],
) -> None:
    server = request.getfixturevalue(name)
    if name == "mysql":
        types = {kind: each for kind, each in types.items() if kind not in ONLY_MARIADB}
    with closing(Database(sa.make_url(server.fresh()), ZONE)) as mine:
        fill(server, mine, [(kind, values) for kind, (_, values) in types.items()])
        table = read(mine, "select * from thing")
        told = by_the_driver(mine, "select * from thing")
    for n, (kind, (found, _)) in enumerate(types.items()):
        assert (kind, table.column(n).type) == (kind, found)
        assert (kind, table.column(n).to_pylist()) == (kind, told[n])


def test_nothing_is_of_no_kind_yet(mine: Database) -> None:
    table = read(mine, "select null as a, 1 as b union all select null, null")
    assert table.schema.types == [pa.null(), pa.int64()]
    assert table.to_pylist() == [{"a": None, "b": 1}, {"a": None, "b": None}]


@pytest.mark.parametrize("charset", ["gbk", "latin1"])
def test_an_address_with_another_alphabet_is_read_in_it(mariadb: MariaServer, charset: str) -> None:
    url = sa.make_url(mariadb.fresh()).update_query_dict({"charset": charset})
    with closing(Database(url, ZONE)) as database:
        # In that alphabet the same bytes as another word in UTF-8.
        word = {"gbk": "锟斤拷", "latin1": "Ã©"}[charset]
        assert read(database, f"select '{word}' as a, 1 as b").to_pylist() == [{"a": word, "b": 1}]


@pytest.mark.parametrize(
    "length",
    [250, 251, 65_535, 65_536, _MOST - 5, _MOST - 4, _MOST - 3, _MOST, _MOST + 1, 2 * _MOST - 9],
)
def test_a_text_of_any_length_is_whole_and_so_are_its_neighbours(
    mariadb: MariaServer, mine: Database, length: int
) -> None:
    with mariadb.root() as db, db.cursor() as cursor:
        cursor.execute("set global max_allowed_packet = 64 << 20")
    rows = " union all ".join(
        f"select {n} as a, {text} as b, 'z' as c"
        for n, text in enumerate(["''", f"repeat('x', {length})", "null", "'y'"])
    )
    table = read(mine, rows)
    assert table.column("a").to_pylist() == [0, 1, 2, 3]
    assert table.column("c").to_pylist() == ["z"] * 4
    assert [each and (len(each), set(each)) for each in table.column("b").to_pylist()] == [
        "", (length, {"x"}), None, (1, {"y"}),
    ]  # fmt: skip


def test_an_answer_that_breaks_off_says_why_and_the_next_one_is_right(
    mariadb: MariaServer, mine: Database
) -> None:
    wrong = (
        "select seq, repeat('x', 999), (select 1 from seq_1_to_2 where s.seq > 20000) as two"
        " from seq_1_to_30000 as s"
    )
    asked = sa.select(sa.text("*")).select_from(sa.text(f"({wrong}) as asked"))
    found: list[int] = []
    heard = (n for table in mine.stream(asked, 1) for n in table.column(0).to_pylist())
    with pytest.raises(DBAPIError, match="more than 1 row"):
        found.extend(heard)
    # Several blocks of them, none of which ends where a row does.
    assert found == list(range(1, len(found) + 1))
    assert len(found) > 10_000
    assert read(mine, "select 1 as a").to_pylist() == [{"a": 1}]


def test_a_server_is_believed_by_its_authority_alone(mariadb: MariaServer, tmp_path: Path) -> None:
    url = sa.make_url(mariadb.fresh())
    trusting = url.update_query_dict({"ssl_ca": str(mariadb.authority.file)})
    with closing(Database(trusting, ZONE)) as database:
        said = "select variable_value as tls from information_schema.session_status where"
        (version,) = read(database, f"{said} variable_name = 'ssl_version'").column(0).to_pylist()
        assert version.startswith("TLS")
        many = read(database, "select seq, repeat('x', 999) as x from seq_1_to_20000")
        assert many.column("seq").to_pylist() == list(range(1, 20_001))
    strange = url.update_query_dict({"ssl_ca": str(Authority(tmp_path).file)})
    with closing(Database(strange, ZONE)) as database:
        with pytest.raises(DBAPIError) as failed:
            read(database, "select 1 as a")
        assert "not trusted" in str(told := plain(str(failed.value.orig), "here"))
        assert "ssl_ca=" in str(told)


def test_a_session_that_is_killed_in_the_middle_is_told_and_replaced(
    mariadb: MariaServer, mine: Database
) -> None:
    many = "select connection_id() as id, repeat('x', 999) as x from seq_1_to_100000"
    asked = sa.select(sa.text("*")).select_from(sa.text(f"({many}) as asked"))
    tables = mine.stream(asked, 1)
    first = next(tables)
    with mariadb.root() as db, db.cursor() as cursor:
        cursor.execute(f"kill {first.column('id')[0].as_py()}")
    with pytest.raises(DBAPIError) as failed:
        list(tables)
    assert "cannot be read" in str(plain(str(failed.value.orig), "here"))
    assert read(mine, "select 1 as a").to_pylist() == [{"a": 1}]


def test_who_leaves_in_the_middle_hangs_up_and_who_hears_the_end_keeps_the_session(
    mine: Database, caplog: pytest.LogCaptureFixture
) -> None:
    (kept,) = {read(mine, "select connection_id() as id").column(0)[0].as_py() for _ in range(3)}
    asked = sa.select(sa.text("*")).select_from(
        sa.text("(select repeat('x', 999) from seq_1_to_100000) as asked")
    )
    with closing(mine.stream(asked, 1)) as tables:
        next(tables)
    (other,) = {read(mine, "select connection_id() as id").column(0)[0].as_py() for _ in range(3)}
    assert other != kept
    assert caplog.messages == []
