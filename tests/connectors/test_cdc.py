"""Tables are followed by the source's log: each change once and in order, from the first row on."""

# ruff: noqa: S608 - the statements are the test's own

from dataclasses import replace

import pytest

from connectors.base import ZONE
from connectors.check import check
from kernel.errors import ConfigurationError, DependencyUnavailableError
from tests.connectors.logged import PLAN, Logged, mysql_table, postgres_table, said
from tests.connectors.reading import mapped, read_all

pytestmark = pytest.mark.real_system


@pytest.fixture(params=["postgres", "mariadb", "mysql"])
def table(request: pytest.FixtureRequest) -> Logged:
    make = postgres_table if request.param == "postgres" else mysql_table
    return make(request.getfixturevalue(request.param))


def upserts(first: int, last: int, note: str = "x") -> list[tuple[object, object, object]]:
    return [(n, note, "upsert") for n in range(first, last + 1)]


def test_the_table_comes_first_then_each_change_in_order(table: Logged) -> None:
    table.fill(1, 25)
    connector = table.connector(page_rows=10)
    rows, cursor = read_all(connector, PLAN)
    assert said(rows) == upserts(1, 25)
    table.run(
        "update thing set note = 'y' where id = 3",
        "delete from thing where id = 4",
        "update thing set id = 100 where id = 5",
        "insert into thing values (4, 'again')",
    )
    rows, cursor = read_all(connector, PLAN, cursor)
    assert said(rows) == [
        (3, "y", "upsert"), (4, None, "delete"), (5, None, "delete"), (100, "x", "upsert"),
        (4, "again", "upsert"),
    ]  # fmt: skip
    assert read_all(connector, PLAN, cursor)[0] == []
    connector.close()


def test_a_row_written_while_the_table_is_read_is_neither_lost_nor_doubled(table: Logged) -> None:
    table.fill(1, 25)
    connector = table.connector(page_rows=10)
    page = connector.read(PLAN, None)
    while page.rows is None:
        page = connector.read(PLAN, page.cursor)
    first = mapped(page, PLAN)
    assert first is not None
    table.run(
        "insert into thing values (0, 'low'), (99, 'high')", "delete from thing where id = 20"
    )
    rest, _ = read_all(connector, PLAN, page.cursor)
    assert said([*first.to_pylist(), *rest]) == [
        *upserts(1, 25), (0, "low", "upsert"), (99, "high", "upsert"), (20, None, "delete"),
    ]  # fmt: skip
    connector.close()


def test_a_pass_goes_on_from_any_page_after_a_kill(table: Logged) -> None:
    """The state is right from wherever it goes on; without writers nothing comes twice."""
    table.fill(1, 12)
    expected = upserts(1, 12)
    for pages in range(9):
        done: list[dict[str, object]] = []
        cursor, kept = None, table.connector(page_rows=3, slot=f"n{pages}")
        for _ in range(pages):
            page = kept.read(PLAN, cursor)
            cursor = page.cursor
            if (found := mapped(page, PLAN)) is not None:
                done += found.to_pylist()
        kept.close()
        after = table.connector(page_rows=3, slot=f"n{pages}")
        rest, _ = read_all(after, PLAN, cursor)
        assert said([*done, *rest]) == expected
        after.close()


def test_writers_go_on_while_a_pass_is_killed_in_the_middle_of_the_table(table: Logged) -> None:
    table.fill(1, 12)
    state: dict[object, object] = {}
    cursor = None

    def take(rows: list[dict[str, object]]) -> None:
        for row in rows:
            if row["_op"] == "delete":
                state.pop(row["key"], None)
            else:
                state[row["key"]] = row["note"]

    for step in range(5):
        connector = table.connector(page_rows=3)
        page = connector.read(PLAN, cursor)
        cursor = page.cursor
        if (found := mapped(page, PLAN)) is not None:
            take(found.to_pylist())
        connector.close()
        table.run(
            f"update thing set note = 'step {step}' where id in ({step}, {11 - step})",
            f"delete from thing where id = {2 * step + 2}",
            f"update thing set id = {100 + step} where id = {2 * step + 1}",
            f"insert into thing values ({50 + step}, 'new')",
        )
    rows, _ = read_all(table.connector(page_rows=3), PLAN, cursor)
    take(rows)
    rows, _ = read_all(table.connector(page_rows=30, slot="other"), PLAN)
    assert state == {row["key"]: row["note"] for row in rows}


def test_a_long_transaction_is_cut_into_pages_and_gone_on_with(table: Logged) -> None:
    connector = table.connector(page_rows=10)
    _, cursor = read_all(connector, PLAN)
    table.fill(1, 35)
    table.run("update thing set note = 'y' where id = 1")
    page = connector.read(PLAN, cursor)
    connector.close()
    first = mapped(page, PLAN)
    assert first is not None
    assert first.num_rows < 35
    again = table.connector(page_rows=10)
    rest, cursor = read_all(again, PLAN, page.cursor)
    assert said([*first.to_pylist(), *rest]) == [*upserts(1, 35), (1, "y", "upsert")]
    assert read_all(again, PLAN, cursor)[0] == []
    again.close()


def test_what_is_rolled_back_never_comes(table: Logged) -> None:
    connector = table.connector()
    _, cursor = read_all(connector, PLAN)
    with table.transaction() as run:
        run("insert into thing values (1, 'never')")
        run("rollback")
    table.fill(2, 2)
    assert said(read_all(connector, PLAN, cursor)[0]) == upserts(2, 2)
    connector.close()


def test_columns_may_come_and_go_on_the_way(table: Logged) -> None:
    connector = table.connector()
    _, cursor = read_all(connector, PLAN)
    table.run(
        "insert into thing values (1, 'x')",
        "alter table thing add column more varchar(9)",
        "insert into thing values (2, 'x', 'm')",
        "alter table thing rename column note to remark",
        "insert into thing values (3, 'x', 'm')",
    )
    pages = []
    for _ in range(3):
        pages.append(connector.read(PLAN, cursor))
        cursor = pages[-1].cursor
    assert [sorted(p.rows.column_names) for p in pages if p.rows is not None] == [
        ["_op", "id", "note"], ["_op", "id", "more", "note"], ["_op", "id", "more", "remark"],
    ]  # fmt: skip
    # What is in the new column of rows that nobody has written since, the log does not say.
    assert [" more of " in "".join(each.holes) for each in pages] == [False, True, False]
    assert [" remark of " in "".join(each.holes) for each in pages] == [False, False, True]
    # The mapping names what is gone: that is said, and nothing is passed over.
    with pytest.raises(ConfigurationError, match="mapping does not fit"):
        mapped(pages[2], PLAN)
    renamed = replace(PLAN, mapping="select id as key, remark as note, _op from rows")
    assert said(read_all(connector, renamed, pages[1].cursor)[0]) == upserts(3, 3)
    connector.close()


def test_rows_of_a_column_that_had_another_name_are_passed_over_by_a_backfill(
    table: Logged,
) -> None:
    connector = table.connector()
    table.fill(1, 1)
    _, cursor = read_all(connector, PLAN)
    table.run(
        "alter table thing rename column note to remark",
        "insert into thing values (2, 'x')",
        "alter table thing rename column remark to note",
        "insert into thing values (3, 'x')",
    )
    for _ in range(2):
        with pytest.raises(ConfigurationError, match="`nplusx agent backfill`"):
            read_all(connector, PLAN, cursor)
    connector.rest(PLAN)
    # What the source holds for the stream is its own, as it was before.
    rows, cursor = read_all(connector, PLAN, connector.again(PLAN))
    assert said(rows) == upserts(1, 3)
    table.fill(4, 4)
    assert said(read_all(connector, PLAN, cursor)[0]) == upserts(4, 4)
    connector.close()


def test_a_column_that_goes_or_gets_another_type_is_followed(table: Logged) -> None:
    table.run("alter table thing add column size int")
    connector = table.connector()
    plan = replace(PLAN, mapping="select * from rows")
    _, cursor = read_all(connector, plan)
    kind = "alter column size type bigint" if table.is_postgres else "modify size bigint"
    table.run(
        "insert into thing values (1, 'x', 7)",
        f"alter table thing {kind}",
        "insert into thing values (2, 'x', 5000000000)",
        "alter table thing drop column note",
        "insert into thing values (3, 9)",
    )
    pages = []
    for _ in range(3):
        pages.append(connector.read(plan, cursor))
        cursor = pages[-1].cursor
    assert [each.rows.column("size").to_pylist() for each in pages if each.rows is not None] == [
        [7], [5_000_000_000], [9],
    ]  # fmt: skip
    assert [bool(each.holes) for each in pages] == [False, True, False]
    assert (pages[2].rows.column_names, pages[2].more) == (["id", "size", "_op"], False)
    connector.close()


def test_an_emptied_table_is_a_hole(table: Logged) -> None:
    table.fill(1, 3)
    connector = table.connector()
    _, cursor = read_all(connector, PLAN)
    table.run("truncate table thing")
    table.fill(7, 7)
    page = connector.read(PLAN, cursor)
    assert "emptied" in page.holes[0]
    assert "thing" in page.holes[0]
    found = mapped(page, PLAN)
    assert found is not None
    assert said(found.to_pylist()) == upserts(7, 7)
    connector.close()


def test_a_check_names_what_is_wrong_and_reads_a_few_rows(table: Logged) -> None:
    connector = table.connector()
    (found,) = check(connector, [PLAN], ZONE)
    assert (found.problem, found.columns) == ("", ())
    table.fill(1, 9)
    (found,) = check(connector, [PLAN], ZONE)
    assert (found.problem, found.columns) == ("", ("key", "note", "_op"))
    for how, says in (
        (replace(PLAN.how, table="nowhere"), "no such table"),
        (replace(PLAN.how, keys=("nothing",)), "no column nothing"),
        (replace(PLAN.how, keys=("note",)), "tell rows apart"),
    ):
        (found,) = check(connector, [replace(PLAN, how=how)], ZONE)
        assert says in found.problem
        with pytest.raises(ConfigurationError, match=says):
            connector.read(replace(PLAN, how=how), None)
    connector.close()


def test_what_is_discovered_can_be_followed(table: Logged) -> None:
    connector = table.connector()
    (offer,) = [each for each in connector.discover() if each.name.endswith("thing")]
    assert list(offer.columns) == ["id", "note"]
    assert offer.how["keys"] == ["id"]
    how = replace(PLAN.how, table=str(offer.how["table"]))
    table.fill(1, 2)
    assert said(read_all(connector, replace(PLAN, how=how))[0]) == upserts(1, 2)
    connector.close()


def test_a_wrong_password_or_host_is_named_without_the_password(table: Logged) -> None:
    user = table.url.partition("://")[2].partition("@")[0]
    wrong = table.url.replace(f"{user}@", "nobody:hush@")
    silent = table.url.replace(f":{table.server.port}/", ":9/")
    for url, kind, says in (
        (wrong, ConfigurationError, "user or the password"),
        (silent, DependencyUnavailableError, "cannot be read"),
    ):
        connector = Logged(url, table.server).connector()
        with pytest.raises(kind, match=says) as caught:
            connector.read(PLAN, None)
        assert "hush" not in str(caught.value)
        connector.close()


def test_a_cursor_that_is_not_ours_is_refused(table: Logged) -> None:
    connector = table.connector()
    for text in ("{}", "[]", "x"):
        with pytest.raises(ConfigurationError, match="cursor"):
            connector.read(PLAN, text)
    connector.close()
