"""What was pushed is kept until its cursor comes back, whatever happens in between."""

import pyarrow as pa
import pytest

from connectors.inbox import MOMENT, Inbox, Row
from kernel.errors import ConfigurationError

COLUMNS = pa.schema([("key", pa.string()), ("time", MOMENT), ("value", pa.string())])


def rows(*numbers: int) -> list[Row]:
    return [("k", n, str(n)) for n in numbers]


def values(table: pa.Table | None) -> list[str]:
    return [] if table is None else table.column("value").to_pylist()


@pytest.fixture
def inbox() -> Inbox:
    return Inbox(COLUMNS, 5, None)


def test_the_same_rows_come_until_their_cursor_returns(inbox: Inbox) -> None:
    inbox.put(rows(1, 2, 3))
    first = inbox.page(None, 2)
    assert (values(first.rows), first.more) == (["1", "2"], True)
    inbox.put(rows(4))
    # The outbox did not take them: it asks with the cursor that it has.
    assert values(inbox.page(None, 2).rows) == ["1", "2"]
    second = inbox.page(first.cursor, 5)
    assert (values(second.rows), second.more) == (["3", "4"], False)
    last = inbox.page(second.cursor, 5)
    assert (last.rows, last.cursor) == (None, second.cursor)


def test_each_row_knows_the_one_before_also_of_an_earlier_run(inbox: Inbox) -> None:
    inbox.put([*rows(1, 2), ("other", 9, "x")])
    page = inbox.page(None, 5)
    assert page.rows is not None
    assert page.rows.column("value_before").to_pylist() == [None, "1", None]
    later = Inbox(COLUMNS, 5, page.cursor)
    assert later.last_time("k") == 2
    later.put(rows(3))
    again = later.page(page.cursor, 5)
    assert again.rows is not None
    (row,) = again.rows.to_pylist()
    assert (row["value_before"], row["time_before"].microsecond) == ("2", 2)


def test_a_hole_stands_where_rows_are_missing_and_is_told_again(inbox: Inbox) -> None:
    inbox.hole("nothing from 1 to 2")
    page = inbox.page(None, 5)
    assert (page.rows, page.holes) == (None, ("nothing from 1 to 2",))
    assert inbox.page(None, 5).holes == page.holes
    assert inbox.page(page.cursor, 5).holes == ()


def test_it_is_full_until_something_is_safe(inbox: Inbox) -> None:
    inbox.put(rows(*range(5)))
    assert inbox.is_full
    page = inbox.page(None, 5)
    assert inbox.is_full
    inbox.page(page.cursor, 5)
    assert not inbox.is_full


@pytest.mark.parametrize("text", ["x", "[]", "{}", '{"run": "a", "at": "x", "last": {}}'])
def test_a_cursor_that_is_not_ours_is_refused(inbox: Inbox, text: str) -> None:
    with pytest.raises(ConfigurationError, match="cursor"):
        inbox.page(text, 5)
