"""One stream of an OPC UA server: nothing twice, and no waiting for one by the others."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta

from connectors.inbox import Inbox, micros
from connectors.opcua_plan import COLUMNS, Machine, OpcuaStream, Pace
from connectors.wires.opcua import Take, Variable
from connectors.wires.opcua_feed import Feed, Subscription
from connectors.wires.opcua_values import Sampled

BEGUN = datetime(2024, 6, 1, 8, tzinfo=UTC)
WANTED = [(Machine("EQ01", "i=85"), Variable("a", "a"))]


class _Far:
    """A session whose server kept the seconds that it is told."""

    where = "there"

    def __init__(self, *kept: int) -> None:
        self.kept, self.until = kept, BEGUN
        self.meanwhile: list[int] = []
        self.take: Take
        self.why = ""

    async def subscribe(self, _nodes: Sequence[str], _pace: Pace, take: Take) -> list[str]:
        self.take = take
        return []

    async def history(
        self, _spans: object, until: datetime
    ) -> AsyncIterator[tuple[int, list[Sampled] | None]]:
        self.until = until
        # What comes in the meantime keeps nobody waiting.
        for each in self.meanwhile:
            self.take([(0, sample(each))], "")
        yield 0, [sample(each) for each in self.kept]

    def lose(self, why: str) -> None:
        self.why = why


def sample(second: int) -> Sampled:
    at = micros(BEGUN) + second * 1_000_000
    return str(second), float(second), "Int32", 0, "Good", at, at


def feed(room: int = 100, known: int | None = None) -> Feed:
    inbox = Inbox(COLUMNS, room, None)
    if known is not None:
        row = ("a", *sample(known)[5:6], str(known))
        inbox.put([(*row, *[None] * (len(COLUMNS) - len(row)))])
    return Feed(OpcuaStream(("a",)), inbox)


def values(made: Feed) -> tuple[list[str], tuple[str, ...]]:
    page = made.inbox.page(None, 1000)
    return [] if page.rows is None else page.rows.column("value").to_pylist(), page.holes


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_what_the_history_gave_is_not_taken_again() -> None:
    made, far = feed(known=1), _Far(1, 2, 3)

    async def hear() -> None:
        far.meanwhile = [2, 3, 4]
        await Subscription(far, made, WANTED).begin()
        # A clock that is put back afterwards is the machine's own business.
        far.take([(0, sample(2))], "")
        await settle()

    asyncio.run(hear())
    assert values(made) == (["1", "2", "3", "4", "2"], ())


def test_a_clock_that_is_ahead_of_ours_is_read_too() -> None:
    made, far = feed(known=1), _Far()
    asyncio.run(Subscription(far, made, WANTED).begin())
    assert far.until - datetime.now(UTC) > timedelta(hours=23)


def test_without_room_the_oldest_values_are_a_hole() -> None:
    made, far = feed(room=3), _Far()

    async def hear() -> None:
        subscription = Subscription(far, made, WANTED)
        await subscription.begin()
        for second in range(3):
            far.take([(0, sample(second))], "")
        await settle()
        for second in range(3, 9):
            far.take([(0, sample(second))], "")
        await settle()
        subscription.end()

    asyncio.run(hear())
    found, (hole,) = values(made)
    assert found == ["0", "1", "2", "6", "7", "8"]
    assert "3 values before" in hole


def test_what_cannot_be_taken_ends_the_session_and_not_the_stream() -> None:
    made, far = feed(), _Far()

    async def hear() -> None:
        await Subscription(far, made, WANTED).begin()
        far.take([(7, sample(1))], "")
        await settle()

    asyncio.run(hear())
    assert "IndexError" in far.why
