"""The sample of Sparkplug devices: states begin and end."""

from connectors.base import StreamPlan
from connectors.inbox import Inbox
from connectors.kinds.sparkplug import SparkplugStream
from connectors.mapping import map_rows
from connectors.registry import find
from connectors.sparkplug_host import COLUMNS, Host
from connectors.wires.sparkplug_payload import Metric, Payload, encode
from kernel import clock
from kernel.ids import ContractId

STATE = ContractId("mes.equipment_state.v1")


def test_states_that_are_said_again_or_late_all_end() -> None:
    (stream,) = find("sparkplug_device").streams
    host, inbox = Host(), Inbox(COLUMNS, 100, None)
    at = 1_717_228_800_000
    told = (("idle", 0, False), ("idle", 9, False), ("fault", 3, True), ("running", 6, True))
    for text, minute, late in (*told, ("off", 20, False)):
        metric = Metric("state", None, at + minute * 60_000, 12, late, text)
        host.handle("spBv1.0/G/DBIRTH/E/EQ01", encode(Payload((metric,), at, 1)), clock.now())
        inbox.put(host.rows, late=late)
        host.rows = []
    rows = inbox.page(None, 100).rows
    assert rows is not None
    last = {}
    plan = StreamPlan(STATE, "1.2.0", stream.mapping, SparkplugStream(("state",)))
    for row in map_rows(rows, plan, "UTC").to_pylist():
        began, ended = row["started_at"], row["ended_at"]
        last[began.minute] = (row["state"], ended.minute if ended else None)
    assert last == {
        0: ("idle", 3), 3: ("fault", 6), 6: ("running", 9), 9: ("idle", 20), 20: ("off", None),
    }  # fmt: skip
