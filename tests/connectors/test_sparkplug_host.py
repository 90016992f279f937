"""The host's state machine; names after the requirement ids of Sparkplug's compatibility kit."""

import random
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from connectors.sparkplug_host import COLUMNS, REBIRTH, Host
from connectors.wires.sparkplug_payload import Metric, Payload, Raw, decode, encode, text_and_number

NOW = datetime(2024, 6, 1, 8, tzinfo=UTC)
AT = 1_717_228_799_000
DOUBLE, BOOLEAN, INT64 = 10, 11, 4


class Site:
    """Says what an edge node says."""

    def __init__(self) -> None:
        self.host = Host()
        self.clock = 0.0

    def say(self, kind: str, *metrics: Metric, seq: int | None = None, device: str = "") -> None:
        topic = "/".join(["spBv1.0", "G", kind, "E", *([device] if device else [])])
        self.host.handle(topic, encode(Payload(metrics, AT, seq)), NOW)

    def born(self, bd_seq: int = 0, seq: int = 0) -> None:
        rebirth = Metric(REBIRTH, raw=False, datatype=BOOLEAN)
        bd = Metric("bdSeq", raw=bd_seq, datatype=INT64)
        self.say("NBIRTH", bd, rebirth, Metric("load", 1, None, DOUBLE, raw=0.5), seq=seq)
        temp = Metric("temp", 2, None, DOUBLE, raw=20.0)
        self.say("DBIRTH", temp, seq=(seq + 1) % 256, device="press")

    def rows(self) -> list[dict[str, object]]:
        rows, self.host.rows = self.host.rows, []
        return [dict(zip(COLUMNS.names, row, strict=True)) for row in rows]

    def asked(self) -> int:
        """Count the rebirths that are due now, after a while."""
        self.clock += 1000
        return len(self.host.rebirths(self.clock))


@pytest.fixture
def site() -> Site:
    return Site()


def values(rows: list[dict[str, object]]) -> list[tuple[object, object, object]]:
    return [(row["metric"], row["value"], row["status"]) for row in rows]


def test_births_give_every_metric_and_no_book_keeping(site: Site) -> None:
    site.born()
    load, temp = site.rows()
    assert (load["path"], load["device"], load["number"]) == ("G/E/load", None, 0.5)
    assert (temp["path"], temp["value_type"], temp["message"]) == (
        "G/E/press/temp", "Double", "DBIRTH",
    )  # fmt: skip
    assert temp["time"] == AT * 1000
    assert (site.asked(), site.host.holes) == (0, [])


def test_tck_payloads_sequence_num_incrementing(site: Site) -> None:
    site.born()
    for number in range(2, 600):
        site.say("DDATA", Metric(alias=2, raw=1.0), seq=number % 256, device="press")
    assert (site.asked(), site.host.holes) == (0, [])


def test_tck_operational_behavior_host_reordering_rebirth(site: Site) -> None:
    site.born()
    site.say("DDATA", Metric(alias=2, raw=1.0), seq=5, device="press")
    (hole,) = site.host.holes
    assert "G/E: 3 messages are missing before number 5" in hole
    # What came is good nevertheless.
    assert values(site.rows())[-1] == ("temp", "1.0", "good")
    assert site.host.rebirths(10.0) == [("G", "E")]
    # Not again at once, and ever less often.
    assert site.host.rebirths(14.0) == []
    assert site.host.rebirths(16.0) == [("G", "E")]
    assert site.host.rebirths(25.0) == []
    site.born()
    assert site.asked() == 0


def test_an_alias_that_nobody_knows_is_parked_until_a_birth_explains_it(site: Site) -> None:
    site.say("DDATA", Metric(alias=2, raw=1.0), Metric("named", raw=True), seq=9, device="press")
    assert values(site.rows()) == []
    assert site.asked() == 1
    site.born(seq=10)
    assert values(site.rows()) == [
        ("load", "0.5", "good"),
        ("temp", "1.0", "good"), ("named", "true", "good"), ("temp", "20.0", "good"),
    ]  # fmt: skip
    assert (site.asked(), site.host.holes) == (0, [])


def test_what_is_parked_when_its_session_ends_is_a_hole(site: Site) -> None:
    site.born(bd_seq=1)
    site.say("DDATA", Metric(alias=77, raw=1.0), seq=2, device="press")
    site.born(bd_seq=2)
    (hole,) = site.host.holes
    assert "1 values have an alias or a type that no birth explained" in hole


def test_a_birth_forgets_the_aliases_before_it(site: Site) -> None:
    site.born()
    site.rows()
    site.say("NBIRTH", Metric("other", 2, None, DOUBLE, raw=1.0), seq=0)
    site.say("NDATA", Metric(alias=2, raw=3.0), seq=1)
    assert values(site.rows())[-1] == ("other", "3.0", "good")


def test_tck_edge_node_termination_host_action_ndeath_devices_tags_stale(site: Site) -> None:
    site.born(bd_seq=3)
    site.rows()
    site.say("NDEATH", Metric("bdSeq", raw=2))
    assert site.rows() == [], "the will of an earlier session"
    site.say("NDEATH", Metric("bdSeq", raw=3))
    rows = site.rows()
    assert values(rows) == [("load", None, "stale"), ("temp", None, "stale")]
    # The host's own time: the will was written long before.
    assert {row["time"] for row in rows} == {int(NOW.timestamp()) * 1_000_000}


def test_tck_edge_node_termination_host_action_ddeath_devices_tags_stale(site: Site) -> None:
    site.born()
    site.rows()
    site.say("DDEATH", seq=2, device="press")
    (row,) = site.rows()
    assert (row["metric"], row["status"], row["is_null"], row["time"]) == (
        "temp", "stale", True, AT * 1000,
    )  # fmt: skip
    site.say("DDATA", Metric("temp", raw=1.0), seq=3, device="press")
    assert site.asked() == 1, "data of a device that is dead"


def test_what_was_stored_comes_as_historical(site: Site) -> None:
    site.born()
    site.rows()
    site.say("DDATA", Metric("temp", None, 5000, None, True, 7.5), seq=2, device="press")
    (row,) = site.rows()
    assert (row["is_historical"], row["time"], row["value"]) == (True, 5_000_000, "7.5")
    assert [last[2] for last in site.host.known()] == ["0.5", "20.0"]


def test_after_a_break_nothing_is_trusted(site: Site) -> None:
    site.born()
    site.host.forget()
    assert site.asked() == 1
    site.say("DDATA", Metric(alias=2, raw=9.0), seq=99, device="press")
    site.born()
    assert values(site.rows())[-2:] == [("temp", "9.0", "good"), ("temp", "20.0", "good")]
    assert site.host.holes == []


def test_a_value_whose_type_nobody_knows_is_parked_until_its_birth(site: Site) -> None:
    site.say("DDATA", Metric("count", raw=2**32 - 5), seq=9, device="press")
    assert (site.rows(), site.asked()) == ([], 1)
    site.say("NBIRTH", seq=0)
    site.say("DBIRTH", Metric("count", None, None, 3, raw=1), seq=1, device="press")
    assert values(site.rows()) == [("count", "-5", "good"), ("count", "1", "good")]


def test_a_node_and_a_device_never_share_a_path(site: Site) -> None:
    site.say("NBIRTH", Metric("press/temp", None, None, DOUBLE, raw=1.0), seq=0)
    site.say("DBIRTH", Metric("temp", None, None, DOUBLE, raw=2.0), seq=1, device="press")
    assert len({row["path"] for row in site.rows()}) == 2


@pytest.mark.parametrize(
    ("raw", "kind", "value"),
    [
        (0xFFFFFFFF, "Int8", ("-1", -1.0)),
        (0xFF, "Int8", ("-1", -1.0)),
        (0xFF, "UInt8", ("255", 255.0)),
        (2**64 - 2, "Int64", ("-2", -2.0)),
        (2**64 - 2, "UInt64", (str(2**64 - 2), float(2**64 - 2))),
        (AT, "DateTime", ("2024-06-01T07:59:59+00:00", None)),
        (2**63, "DateTime", (str(2**63), None)),
        (float("nan"), "Double", ("nan", None)),
        (True, "Boolean", ("true", None)),
        ("文", "String", ("文", None)),
        (b"\0", "DataSet", ("AA==", None)),
        (None, "Int8", (None, None)),
    ],
)
def test_a_value_is_read_by_its_type(raw: Raw, kind: str, value: object) -> None:
    assert text_and_number(raw, kind) == value


def test_hostile_payloads_are_counted_and_skipped(site: Site) -> None:
    site.born()
    site.rows()
    noise = random.Random(1)  # noqa: S311 - the same garbage every time
    good = encode(Payload((Metric("temp", raw=1.0),), AT, 2))
    for _ in range(500):
        body = bytearray(good)
        for _ in range(noise.randrange(1, 6)):
            body[noise.randrange(len(body))] = noise.randrange(256)
        site.host.handle("spBv1.0/G/DDATA/E/press", bytes(body), NOW)
    site.host.handle("spBv1.0/G/DDATA/E/press", b"\xff" * 1_000_000, NOW)
    site.say("DDATA", Metric("x", None, 2**64 - 1, 2**31, raw=2**63), seq=255, device="press")
    for topic in (
        "spBv1.0",
        "spBv1.0/G/NCMD/E",
        "spBv1.0/STATE/me",
        "a/b/NDATA/c",
        "spBv1.0/G/NDATA/E/d",
    ):
        site.host.handle(topic, good, NOW)
    assert site.host.skipped > 10
    # Each can still be put into a column.
    for column, kind in zip(zip(*site.host.rows, strict=True), COLUMNS, strict=True):
        pa.array(column, kind.type)
    with pytest.raises(ValueError, match="not a sequence number"):
        decode(encode(Payload((), AT, 2**63)))
