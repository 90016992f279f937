"""Windows look back from the newest row in the form in which the source writes its moments."""

from datetime import UTC, date, datetime

import pytest

from connectors.cursor import Moment, Window

NOW = datetime(2024, 3, 10, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("newest", "start"),
    [
        (datetime.fromisoformat("2024-03-01 08:00"), datetime.fromisoformat("2024-03-01 07:55")),
        (date(2024, 3, 1), date(2024, 2, 29)),
        ("2024-03-01 08:00:00", "2024-03-01 07:55:00"),
        ("2024-03-01T08:00:00", "2024-03-01T07:55:00"),
        # A day in digits alone; what comes in the course of it is later than what was read.
        ("20240301", "20240229"),
        ("20991231", "20240309"),
        ("2024-03-01", "2024-02-29"),
        ("00000000", "00000000"),
        ("", ""),
        (7, 7),
    ],
)
def test_a_pass_begins_a_little_before_the_newest_row(newest: Moment, start: Moment) -> None:
    assert Window(300, NOW).start(newest) == start
