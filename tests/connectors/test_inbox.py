"""What was pushed is kept until its cursor comes back, whatever happens in between."""

import pyarrow as pa
import pytest

from connectors.inbox import MOMENT, Inbox, Row
from kernel.errors import ConfigurationError

COLUMNS = pa.schema([("key", pa.string()), ("time", MOMENT), ("value", pa.string())])
TIMES = ("time_before", "time", "time_after")


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


def test_what_comes_late_stands_between_what_was_known(inbox: Inbox) -> None:
    inbox.put(rows(10, 50))
    inbox.put(rows(20, 30, 5), late=True)
    page = inbox.page(None, 9)
    assert page.rows is not None
    said = [
        [None if at is None else at.microsecond for at in each]
        for each in zip(*(page.rows.column(c).to_pylist() for c in TIMES), strict=True)
    ]
    assert said == [[None, 10, None], [10, 50, None], [10, 20, 50], [20, 30, 50], [None, 5, 50]]
    # The cursor keeps what the next row follows.
    assert Inbox(COLUMNS, 5, page.cursor).last_time("k") == 50


def test_what_was_stored_and_is_newest_is_followed_by_the_next(inbox: Inbox) -> None:
    inbox.put(rows(10))
    inbox.put(rows(20), late=True)
    inbox.put(rows(30))
    page = inbox.page(None, 9)
    assert page.rows is not None
    assert page.rows.column("value_before").to_pylist() == [None, "10", "20"]


def test_a_late_row_of_another_page_does_not_lead_the_cursor(inbox: Inbox) -> None:
    inbox.put(rows(50))
    inbox.put(rows(20), late=True)
    page = Inbox(COLUMNS, 5, inbox.page(inbox.page(None, 1).cursor, 1).cursor)
    assert page.last_time("k") == 50


def test_long_texts_fill_it_and_holes_do_not_pile_up(inbox: Inbox) -> None:
    inbox.put([("k", 1, "x" * 6000)])
    assert inbox.is_full
    for number in range(3000):
        inbox.hole(f"hole {number}")
    page = inbox.page(None, 9999)
    assert len(page.holes) == 1000
    assert "More is missing" in page.holes[-1]
    inbox.page(page.cursor, 9)
    inbox.hole("another")
    assert (inbox.is_full, inbox.page(page.cursor, 9).holes) == (False, ("another",))
