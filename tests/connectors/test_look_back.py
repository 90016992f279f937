"""Only what the next pass can meet again is remembered."""

from datetime import UTC, datetime, timedelta

import pyarrow as pa

from connectors.cursor import Cursor, Window
from connectors.look_back import Digests, news
from connectors.sql.pages import Piece

START = datetime(2024, 3, 1, tzinfo=UTC)
WINDOW = Window(300, datetime(2026, 1, 1, tzinfo=UTC))


def rows(*minutes: int) -> pa.Table:
    return pa.table({"id": minutes, "at": [START + timedelta(minutes=each) for each in minutes]})


def remembered(page: pa.Table, rest: pa.Table, at: Cursor | None = None) -> list[object]:
    _, seen = news(Piece(page, rest), "at", at or Cursor(), WINDOW, Digests())
    return sorted(seen.values())


def test_the_last_page_is_remembered_as_far_back_as_the_next_pass_looks() -> None:
    page = rows(0, 5, 6, 10)
    assert remembered(page, page.slice(4)) == page.column("at").to_pylist()[1:]


def test_of_a_page_only_what_is_near_the_rows_known_to_come_is_remembered() -> None:
    page = rows(0, 5, 6, 10)
    assert remembered(page, rows(11)) == page.column("at").to_pylist()[2:]
    assert remembered(page, rows(11, 16)) == []


def test_rows_from_the_future_that_come_do_not_hide_those_of_the_present() -> None:
    now = round((WINDOW.now - START) / timedelta(minutes=1))
    page = rows(now - 10, now - 4)
    assert remembered(page, rows(now + 999)) == page.column("at").to_pylist()[1:]


def test_what_the_pass_before_saw_is_left_out_wherever_it_comes() -> None:
    page = rows(0, 5)
    _, seen = news(Piece(page, page.slice(2)), "at", Cursor(), WINDOW, Digests())
    at = Cursor(newest=START + timedelta(minutes=5), seen=seen)
    told, _ = news(Piece(rows(0, 3, 5, 6), rows(99)), "at", at, WINDOW, Digests())
    assert told.column("id").to_pylist() == [3, 6]
