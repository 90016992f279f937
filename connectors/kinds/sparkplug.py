"""Reads Sparkplug B over MQTT as a host application: births, data, deaths, what comes late."""

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from threading import Event, Lock
from typing import TYPE_CHECKING

from typing_extensions import override

from connectors.base import Connector, Offer, Page, Sample, Source, StreamPlan
from connectors.extras import extra
from connectors.fields import Fields
from connectors.inbox import EPOCH, Inbox, Row
from kernel import canonical, clock
from kernel.errors import ConfigurationError, DependencyUnavailableError, NplusxError
from kernel.ids import ContractId

if TYPE_CHECKING:
    from connectors.wires.mqtt import MqttLink

TIMEOUT_SECONDS = 10
BUFFER_ROWS = 200_000
PAGE_ROWS = 50_000
_SAMPLE_ROWS = 5
_LOOK_SECONDS = 0.2
_REFUSED_SECONDS = 30.0
_BOOLEAN = 11
_CATALOGUE = ContractId("catalogue")
EXAMPLE = {
    "url": "mqtts://192.0.2.5:8883",
    "host_id": "nplusx",
    "user": "reader",
    "password": "${NPLUSX_SOURCE_PASSWORD}",
}


@dataclass(frozen=True, slots=True)
class SparkplugStream:
    """The metrics of edge nodes and devices, by patterns of their names."""

    metrics: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SparkplugSource:
    """A broker, who we are to it, and whose edge nodes are read."""

    url: str
    host_id: str
    groups: tuple[str, ...]
    user: str = ""
    password: str = ""
    ca_file: str = ""
    timeout_seconds: int = TIMEOUT_SECONDS
    buffer_rows: int = BUFFER_ROWS


_Plan = StreamPlan[SparkplugStream]


def stream_of(fields: Fields) -> SparkplugStream:
    """Read what a preset says of a stream."""
    return SparkplugStream(fields.texts("metrics"))


def way_of(fields: Fields) -> SparkplugSource:
    """Read what an agent's file says of a broker."""
    return SparkplugSource(
        url=fields.address("url"),
        host_id=fields.text("host_id"),
        groups=fields.texts("groups", ("+",)),
        user=fields.text("user", ""),
        password=fields.text("password", ""),
        ca_file=fields.file("ca_file", ""),
        timeout_seconds=fields.whole("timeout_seconds", TIMEOUT_SECONDS),
        buffer_rows=fields.whole("buffer_rows", BUFFER_ROWS),
    )


def open_source(source: Source[SparkplugSource]) -> "SparkplugConnector":
    """Get ready to read a broker; nothing is asked of it yet."""
    return SparkplugConnector(source)


@dataclass(slots=True)
class _Feed:
    """One stream: what it wants, what came, what it had no room for."""

    how: SparkplugStream
    inbox: Inbox
    wanted: dict[str, bool] = field(default_factory=dict)
    dropped: int = 0
    full_since: datetime | None = None
    # From when on nothing is heard.
    away_since: datetime | None = None

    def wants(self, name: str) -> bool:
        found = self.wanted.get(name)
        if found is None:
            # A name may hold what patterns give a meaning to.
            found = any(name == each or fnmatchcase(name, each) for each in self.how.metrics)
            self.wanted[name] = found
        return found


class SparkplugConnector(Connector[SparkplugStream]):
    """A primary host: edge nodes that wait for it store what they measure while it is away."""

    def __init__(self, source: Source[SparkplugSource]) -> None:
        with extra("sparkplug"):
            from connectors import sparkplug_host as host
            from connectors.wires import mqtt, sparkplug_payload
        self._way, self._mqtt, self._payload, self._rules = (
            source.way,
            mqtt,
            sparkplug_payload,
            host,
        )
        self._host = host.Host()
        self._lock = Lock()
        self._feeds: dict[str, _Feed] = {}
        self._link: MqttLink | None = None
        self._settled = Event()
        self._trouble: NplusxError | None = None
        self._is_ready = False
        self._asked_at = 0.0
        # Who only tries a source neither takes the place of the agent that reads it, nor speaks.
        self._is_guest = source.is_trial or bool(source.guest)
        self._state_topic = f"{host.NAMESPACE}/STATE/{source.way.host_id}"
        self._born_at = 0

    @override
    def read(self, plan: _Plan, cursor: str | None) -> Page:
        feed = self._feed(plan, cursor)
        if not self._settled.wait(self._way.timeout_seconds * 3):
            raise DependencyUnavailableError(
                "The broker does not answer in time.",
                where=self._way.url,
                cure="check `url` and the network, or raise `timeout_seconds`.",
            )
        page = feed.inbox.page(cursor, PAGE_ROWS)
        with self._lock:
            self._ask_rebirths()
            # Who was not let listen may be by now; a link that is down subscribes by itself.
            waited = clock.monotonic() - self._asked_at
            if self._link and self._link.is_refused and waited > _REFUSED_SECONDS:
                self._listen(self._link)
        if page.rows is None and not page.holes and (wrong := self._trouble):
            raise wrong
        return page

    @override
    def sample(self, plan: _Plan) -> Sample:
        self._is_guest = self._is_guest or self._link is None
        deadline = clock.monotonic() + self._way.timeout_seconds
        page = self.read(plan, None)
        while page.rows is None and clock.monotonic() < deadline:
            clock.sleep(_LOOK_SECONDS)
            page = self.read(plan, None)
        if page.rows is not None:
            return Sample(page.rows.slice(0, _SAMPLE_ROWS))
        return Sample(
            None,
            f"No metric {', '.join(plan.how.metrics)} came within {self._way.timeout_seconds} s.",
            "correct `metrics` of the preset or `groups` of the source; or nothing changes now, or"
            " nodes wait for this host: start the agent, and look beside it.",
        )

    @override
    def discover(self) -> Iterator[Offer]:
        """List what edge nodes say when they are asked who they are."""
        self._is_guest = self._is_guest or self._link is None
        columns = {each.name: str(each.type) for each in self._rules.COLUMNS}
        self.read(StreamPlan(_CATALOGUE, "", "", SparkplugStream(("*",))), None)
        clock.sleep(self._way.timeout_seconds)
        with self._lock:
            names = sorted({str(row[self._rules.METRIC]) for row in self._host.known()})
        for name in names:
            yield Offer(name, columns, {"metrics": [name]})

    @property
    @override
    def passing(self) -> str:
        return "Edge nodes send what changes while they are listened to."

    @override
    def close(self) -> None:
        with self._lock:
            link, self._link = self._link, None
        if link is not None:
            self._say_state(link, online=False)
            link.close()

    def _feed(self, plan: _Plan, cursor: str | None) -> _Feed:
        """Begin to listen for a stream; what is known of its metrics already comes first."""
        with self._lock:
            feed = self._feeds.get(plan.contract)
            if feed is None:
                inbox = Inbox(self._rules.COLUMNS, self._way.buffer_rows, cursor)
                feed = self._feeds[plan.contract] = _Feed(plan.how, inbox)
                if inbox.newest is not None:
                    feed.away_since = EPOCH + timedelta(microseconds=inbox.newest)
                if self._is_ready:
                    self._tell_away(feed)
                self._put(feed, self._host.known())
        if self._link is None:
            self._connect()
        return feed

    def _connect(self) -> None:
        way = self._way
        self._born_at = int(clock.now().timestamp() * 1000)
        broker = self._mqtt.Broker(way.url, way.user, way.password, way.ca_file)
        ears = self._mqtt.Ears(self._on_connect, self._on_ready, self._on_trouble, self._on_message)
        name = f"nplusx-{way.host_id}"
        if self._is_guest:
            name = f"{name}-{secrets.token_hex(4)}"
        will = None if self._is_guest else (self._state_topic, self._state(online=False))
        # Held while it is made: the broker's first word may come before we know it.
        with self._lock:
            self._link = self._mqtt.MqttLink(broker, name, will, ears)

    def _state(self, *, online: bool) -> bytes:
        return canonical.dumps({"online": online, "timestamp": self._born_at})

    def _say_state(self, link: "MqttLink", *, online: bool) -> None:
        if not self._is_guest:
            link.publish(self._state_topic, self._state(online=online), retain=True)

    def _tell_away(self, feed: _Feed) -> None:
        if feed.away_since is not None:
            feed.inbox.hole(
                f"{self._way.url}: nothing was heard from {feed.away_since:%F %T}Z to "
                f"{clock.now():%F %T}Z, but for what edge nodes stored meanwhile."
            )
            feed.away_since = None

    def _on_connect(self) -> None:
        with self._lock:
            if self._link is None:
                return
            self._listen(self._link)
            self._say_state(self._link, online=True)
            self._host.forget()

    def _listen(self, link: "MqttLink") -> None:
        self._asked_at = clock.monotonic()
        wanted = [f"{self._rules.NAMESPACE}/{group}/#" for group in self._way.groups]
        link.subscribe([*wanted, self._state_topic])

    def _on_ready(self) -> None:
        with self._lock:
            self._trouble, self._is_ready = None, True
            for feed in self._feeds.values():
                self._tell_away(feed)
            self._ask_rebirths()
        self._settled.set()

    def _on_trouble(self, wrong: NplusxError) -> None:
        with self._lock:
            if self._is_ready:
                self._is_ready = False
                for feed in self._feeds.values():
                    feed.away_since = clock.now()
            # Who is refused is also cut off: the first says more.
            if not isinstance(self._trouble, ConfigurationError):
                self._trouble = wrong
        self._settled.set()

    def _on_message(self, topic: str, body: bytes) -> None:
        with self._lock:
            if topic == self._state_topic:
                self._mend_state(body)
                return
            self._host.handle(topic, body, clock.now())
            rows, self._host.rows = self._host.rows, []
            holes, self._host.holes = self._host.holes, []
            for feed in self._feeds.values():
                for text in holes:
                    feed.inbox.hole(text)
                self._put(feed, rows)
            self._ask_rebirths()

    def _mend_state(self, body: bytes) -> None:
        """Say again that we are here, if a will of an earlier session says that we are not."""
        if self._link is not None and body != self._state(online=True):
            self._say_state(self._link, online=True)

    def _put(self, feed: _Feed, rows: Sequence[Row]) -> None:
        """Give a stream its rows; without room they are lost, and births are asked for instead."""
        wanted = [row for row in rows if feed.wants(str(row[self._rules.METRIC]))]
        if not wanted:
            return
        if feed.inbox.is_full:
            feed.dropped += len(wanted)
            feed.full_since = feed.full_since or clock.now()
            return
        if feed.full_since is not None:
            feed.inbox.hole(
                f"{self._way.url}: {feed.dropped} values since {feed.full_since:%F %T}Z found "
                "`buffer_rows` full; rebirths were asked for."
            )
            feed.dropped, feed.full_since = 0, None
            self._host.forget()
        late = [row for row in wanted if row[self._rules.HISTORICAL]]
        feed.inbox.put(late, late=True)
        feed.inbox.put(row for row in wanted if not row[self._rules.HISTORICAL])

    def _ask_rebirths(self) -> None:
        if self._link is None:
            return
        for group, edge in self._host.rebirths(clock.monotonic()):
            now = int(clock.now().timestamp() * 1000)
            wish = self._payload.Metric(name=self._rules.REBIRTH, datatype=_BOOLEAN, raw=True)
            body = self._payload.encode(self._payload.Payload((wish,), now))
            self._link.publish(f"{self._rules.NAMESPACE}/{group}/NCMD/{edge}", body)
