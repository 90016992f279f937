"""What an OPC UA server publishes is taken in order; what never came is asked for again."""

import asyncio

from asyncua import ua

from connectors.wires.opcua import _Listener


class _Far:
    """A session whose server kept message 4 and not message 3."""

    where = "there"

    async def republish(self, _subscription: int, number: int) -> ua.NotificationMessage | None:
        return message(number).NotificationMessage if number == 4 else None

    def heard(self) -> None:
        return


def message(number: int) -> ua.PublishResult:
    item = ua.MonitoredItemNotification(ClientHandle=number, Value=ua.DataValue(number))
    told = ua.NotificationMessage(
        SequenceNumber=number,
        NotificationData=[ua.DataChangeNotification(MonitoredItems=[item])],
    )
    return ua.PublishResult(NotificationMessage=told)


def test_a_message_that_is_missing_is_asked_for_again_and_else_a_hole() -> None:
    seen: list[object] = []

    def take(items: list[tuple[int, object]], missing: str) -> None:
        seen.extend([handle for handle, _ in items] or [f"lost {missing}"])

    async def hear() -> None:
        listener = _Listener(_Far(), take)
        for number in (2, 5, 6, 1):
            await listener.on_publish(message(number))

    asyncio.run(hear())
    # The last begins anew, as after the greatest number that there is.
    assert seen == [2, "lost 3", 4, 5, 6, 1]


def test_a_jump_that_no_server_keeps_is_one_hole_and_few_questions() -> None:
    seen: list[str] = []

    async def hear() -> None:
        listener = _Listener(_Far(), lambda _items, missing: seen.append(missing))
        for number in (5, 1_000_000):
            await listener.on_publish(message(number))

    asyncio.run(hear())
    assert seen[:3] == ["", "6 to 999899", "999900"]
    assert len(seen) == 103
