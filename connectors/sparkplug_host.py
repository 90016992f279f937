"""A Sparkplug host application's view of its edge nodes: births, deaths, aliases, sequences."""

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime

import pyarrow as pa

from connectors.inbox import MOMENT, Row, micros
from connectors.wires.sparkplug_payload import (
    SEQUENCES,
    Metric,
    Payload,
    decode,
    text_and_number,
    type_name,
)

NAMESPACE = "spBv1.0"
REBIRTH = "Node Control/Rebirth"
COLUMNS = pa.schema(
    [
        ("path", pa.string()), ("time", MOMENT), ("value", pa.string()),
        ("group", pa.string()), ("edge_node", pa.string()), ("device", pa.string()),
        ("metric", pa.string()), ("number", pa.float64()), ("value_type", pa.string()),
        ("status", pa.string()), ("is_null", pa.bool_()), ("is_historical", pa.bool_()),
        ("message", pa.string()), ("seq", pa.int64()), ("received_time", MOMENT),
    ]
)  # fmt: skip
METRIC = COLUMNS.get_field_index("metric")
HISTORICAL = COLUMNS.get_field_index("is_historical")
_PARKED = 10_000
_TOPIC_PARTS = (4, 5)
_FIRST_WAIT, _LONGEST_WAIT = 5.0, 300.0
_MILLISECOND = 1000
# The end of the year 9999 in milliseconds; no calendar knows what lies behind.
_LATEST = 253_402_300_799_000
_KINDS = {"NBIRTH", "NDEATH", "NDATA", "DBIRTH", "DDEATH", "DDATA"}


@dataclass(frozen=True, slots=True)
class _Message:
    """A payload, from whom it came, and when."""

    kind: str
    device: str
    payload: Payload
    received: datetime


@dataclass(slots=True)
class _Edge:
    """An edge node since its last birth."""

    group: str
    name: str
    bd_seq: int | None = None
    seq: int | None = None
    born: set[str] = field(default_factory=set)
    aliases: dict[int, str] = field(default_factory=dict)
    # Each metric's type and last row, by device and name.
    types: dict[tuple[str, str], int | None] = field(default_factory=dict)
    last: dict[tuple[str, str], Row] = field(default_factory=dict)
    parked: deque[tuple[_Message, Metric]] = field(default_factory=deque)
    wants_birth: bool = False
    asked_at: float = float("-inf")
    wait: float = _FIRST_WAIT


class Host:
    """Takes messages one by one; collects rows, holes, and whom to ask for a rebirth."""

    def __init__(self) -> None:
        self._edges: dict[tuple[str, str], _Edge] = {}
        self.rows: list[Row] = []
        self.holes: list[str] = []
        self.skipped = 0

    def known(self) -> list[Row]:
        """Give the last row of every metric, for whoever begins to listen now."""
        return [row for edge in self._edges.values() for row in edge.last.values()]

    def forget(self) -> None:
        """Trust no sequence and no alias any more: something may have been missed."""
        for edge in self._edges.values():
            edge.seq, edge.wants_birth = None, True
            edge.aliases.clear()
            edge.born.clear()

    def rebirths(self, now: float) -> list[tuple[str, str]]:
        """Name the edge nodes to ask now, each ever less often until it answers."""
        due = [
            edge
            for edge in self._edges.values()
            if edge.wants_birth and now - edge.asked_at >= edge.wait
        ]
        for edge in due:
            if edge.asked_at > float("-inf"):
                edge.wait = min(edge.wait * 2, _LONGEST_WAIT)
            edge.asked_at = now
        return [(edge.group, edge.name) for edge in due]

    def handle(self, topic: str, body: bytes, now: datetime) -> None:
        """Take a message; what is none is counted and skipped."""
        parts = topic.split("/")
        fits = len(parts) in _TOPIC_PARTS and parts[0] == NAMESPACE and parts[2] in _KINDS
        if not fits or (parts[2][0] == "D") != (len(parts) == _TOPIC_PARTS[1]):
            # Commands to others and states of hosts pass by here too.
            return
        try:
            payload = decode(body)
        except ValueError as broken:
            self._skip(topic, str(broken))
            return
        _, group, kind, name, *device = parts
        edge = self._edges.setdefault((group, name), _Edge(group, name))
        message = _Message(kind, device[0] if device else "", payload, now)
        if kind == "NDEATH":
            self._node_death(edge, message)
            return
        if kind == "NBIRTH":
            edge = self._node_birth(edge, message)
        else:
            self._check_sequence(edge, message)
        if kind == "DDEATH":
            self._stale(edge, message, {message.device})
            edge.born.discard(message.device)
            return
        self._take(edge, message)

    def _skip(self, topic: str, why: str) -> None:
        self.skipped += 1
        # Told at the first, the second, the fourth, the eighth …: garbage may come without end.
        if not self.skipped & (self.skipped - 1):
            self.holes.append(
                f"{self.skipped} messages were skipped, for they are no Sparkplug payload; "
                f"the last on {topic}: {why}"
            )

    def _node_birth(self, edge: _Edge, message: _Message) -> _Edge:
        bd_seq = _bd_seq(message.payload)
        fresh = _Edge(edge.group, edge.name, bd_seq, message.payload.seq, last=edge.last)
        if edge.parked and edge.bd_seq in (None, bd_seq):
            fresh.parked = edge.parked
        else:
            self._give_up(edge)
        self._edges[edge.group, edge.name] = fresh
        return fresh

    def _node_death(self, edge: _Edge, message: _Message) -> None:
        bd_seq = _bd_seq(message.payload)
        if None not in (edge.bd_seq, bd_seq) and bd_seq != edge.bd_seq:
            # The will of an earlier session: the present one lives.
            return
        self._give_up(edge)
        self._stale(edge, message, {device for device, _ in edge.last})
        del self._edges[edge.group, edge.name]

    def _give_up(self, edge: _Edge) -> None:
        if edge.parked:
            self.holes.append(
                f"{edge.group}/{edge.name}: {len(edge.parked)} values have an alias or a "
                f"type that no birth explained before its session ended."
            )
            edge.parked.clear()

    def _check_sequence(self, edge: _Edge, message: _Message) -> None:
        seq = message.payload.seq
        if edge.seq is None or seq is None:
            edge.wants_birth = True
        elif seq != (edge.seq + 1) % SEQUENCES:
            missing = (seq - edge.seq - 1) % SEQUENCES
            self.holes.append(
                f"{edge.group}/{edge.name}: {missing} messages are missing before number {seq} at "
                f"{message.received:%F %T}Z; a rebirth was asked for."
            )
            edge.wants_birth = True
        edge.seq = seq

    def _take(self, edge: _Edge, message: _Message) -> None:
        if message.kind.endswith("BIRTH"):
            edge.born.add(message.device)
            for metric in message.payload.metrics:
                edge.types[message.device, metric.name] = metric.datatype
                if metric.alias is not None and metric.name:
                    edge.aliases[metric.alias] = metric.name
        elif message.device not in edge.born:
            edge.wants_birth = True
        if message.kind.endswith("BIRTH"):
            self._unpark(edge, message.device)
        for metric in message.payload.metrics:
            self._value(edge, message, metric)

    def _value(self, edge: _Edge, message: _Message, metric: Metric) -> None:
        name = metric.name or edge.aliases.get(metric.alias if metric.alias is not None else -1)
        if name in ("bdSeq", REBIRTH):
            return
        # Without its type a number's sign and a moment's unit are anybody's guess.
        typed = metric.datatype is not None or (message.device, name) in edge.types
        if name and (typed or message.device in edge.born):
            self._row(edge, message, metric, name)
            return
        edge.wants_birth = True
        edge.parked.append((message, metric))
        if len(edge.parked) > _PARKED:
            self._give_up(edge)

    def _unpark(self, edge: _Edge, device: str) -> None:
        """Explain what came before its birth; a birth of its own device explains it."""
        parked, edge.parked = edge.parked, deque()
        for message, metric in parked:
            if message.device == device:
                self._value(edge, message, metric)
            else:
                edge.parked.append((message, metric))

    def _row(self, edge: _Edge, message: _Message, metric: Metric, name: str) -> None:
        datatype = metric.datatype or edge.types.get((message.device, name))
        kind = type_name(datatype)
        text, number = text_and_number(metric.raw, kind)
        received = micros(message.received)
        row = (
            *_head(edge, message.device, name, _time(metric, message), text),
            *(number, kind, "good", text is None, metric.is_historical),
            *(message.kind, message.payload.seq, received),
        )
        if not metric.is_historical:
            edge.last[message.device, name] = row
        self.rows.append(row)

    def _stale(self, edge: _Edge, message: _Message, devices: set[str]) -> None:
        """Mark what a dead device or node said last: nobody knows whether it still holds."""
        received = micros(message.received)
        # A node's will bears the time when it was born; a device's death is told as it happens.
        time = _time(None, message) if message.kind == "DDEATH" else received
        for device, name in [each for each in edge.last if each[0] in devices]:
            kind = type_name(edge.types.get((device, name)))
            row = (
                *_head(edge, device, name, time, None),
                *(None, kind, "stale", True, False),
                *(message.kind, message.payload.seq, received),
            )
            edge.last[device, name] = row
            self.rows.append(row)


def _head(
    edge: _Edge, device: str, name: str, time: int, text: str | None
) -> tuple[str, int, str | None, str, str, str | None, str]:
    # A node's metric D/t is not the metric t of its device D; no device's name is empty.
    below = [device] if device or "/" in name else []
    path = "/".join([edge.group, edge.name, *below, name])
    return path, time, text, edge.group, edge.name, device or None, name


def _time(metric: Metric | None, message: _Message) -> int:
    """Tell when something was so: as the metric says, else its message, else our clock."""
    at = metric.timestamp if metric and metric.timestamp is not None else message.payload.timestamp
    if at is None or at >= _LATEST:
        return micros(message.received)
    return at * _MILLISECOND


def _bd_seq(payload: Payload) -> int | None:
    found = [each.raw for each in payload.metrics if each.name == "bdSeq"]
    return found[0] if found and isinstance(found[0], int) else None
