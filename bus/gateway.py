"""Sends records over HTTPS where a factory lets nothing else out: CloudEvents' HTTP binding."""

import http.client
import ssl
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from typing_extensions import override

from bus.ports import Headers, Record, Sender
from bus.topics import topic_of
from kernel import clock
from kernel.errors import ConfigurationError, DependencyUnavailableError
from kernel.ids import ContractId
from kernel.skew import Clock

PATH = "/records"
_TAKEN = 204
_BUSY = 429
_REFUSED = range(400, 500)
_UNKNOWN = 401
# What is wrong with the connection itself, and would be with the next record too.
_NOT_LET_IN = (_UNKNOWN, 404)
_LONGEST_PAUSE = 60.0
_SAID_BYTES = 2000
# Of printable ASCII the binding writes space, double quote and per cent sign otherwise.
_PLAIN = "!#$&'()*+,-./:;<=>?@[]^_`{|}~\\"
_CONTENT = {"content-type", "content-encoding"}
_LOCAL = {"127.0.0.1", "::1", "localhost"}


@dataclass(frozen=True, slots=True)
class Door:
    """Where the county's gateway is, and what lets an agent in."""

    url: str
    token: str = field(repr=False)
    # Who vouches for the gateway, if not the system's own authorities.
    ca_file: Path | None = None
    timeout_seconds: float = 30.0


def written(headers: Headers) -> dict[str, str]:
    """Write a record's headers as HTTP's: what is not plain ASCII in per cent signs."""
    return {
        name.replace("ce_", "ce-", 1): quote(text, safe=_PLAIN)
        if name.startswith("ce_")
        else text.decode()
        for name, text in headers
    }


def read_record(headers: Iterable[tuple[str, str]], body: bytes) -> Record:
    """Read what `written` wrote; other headers are the web's own affair."""
    ours: Headers = tuple(
        (f"ce_{name[3:]}", unquote(text).encode()) if name.startswith("ce-")
        else (name, text.encode())
        for name, text in headers
        if name.startswith("ce-") or name in _CONTENT
    )  # fmt: skip
    said = dict(ours)
    topic = topic_of(ContractId(said.get("ce_contractid", b"").decode("utf-8", "replace")))
    return Record(topic, said.get("ce_partitionkey", b""), body, ours)


@dataclass(frozen=True, slots=True)
class Gateway:
    """The gateway as a way out."""

    door: Door

    def sender(self) -> "GatewaySender":
        """Open it for sending."""
        return GatewaySender(self.door)


class GatewaySender(Sender):
    """Puts records on the county's bus, one after the other, each acknowledged."""

    def __init__(self, door: Door) -> None:
        self._door = door
        place = urlsplit(door.url)
        host = place.hostname or ""
        self._path = place.path.rstrip("/") + PATH
        if place.scheme == "https":
            try:
                context = ssl.create_default_context(cafile=door.ca_file)
            except OSError as unread:
                raise ConfigurationError(
                    f"The gateway's authority cannot be read: {unread.strerror or unread}.",
                    where=str(door.ca_file),
                    cure="give the PEM file that the county handed out.",
                ) from unread
            self._connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                host, place.port, timeout=door.timeout_seconds, context=context
            )
        elif place.scheme == "http" and host in _LOCAL:
            self._connection = http.client.HTTPConnection(
                host, place.port, timeout=door.timeout_seconds
            )
        else:
            raise ConfigurationError(
                "A gateway is reached by https.",
                where=door.url,
                cure="write https://host:port; http is for this machine alone.",
            )

    @override
    def send(self, records: Sequence[Record]) -> tuple[str, ...]:
        """Deliver in order; give, per record, the error text, or nothing when acknowledged."""
        outcome: list[str] = []
        stuck: set[bytes] = set()
        for each in records:
            if each.key in stuck:
                outcome.append("an earlier record of its stream was not delivered")
                continue
            outcome.append(self._deliver(each))
            if outcome[-1]:
                stuck.add(each.key)
        return tuple(outcome)

    def _deliver(self, record: Record) -> str:
        deadline = clock.monotonic() + self._door.timeout_seconds
        while True:
            status, said, pause = self._post(record)
            if status == _TAKEN:
                return ""
            if status == _BUSY and clock.monotonic() + pause < deadline:
                clock.sleep(pause)
                continue
            if status in _REFUSED and status not in (*_NOT_LET_IN, _BUSY):
                return f"The county's gateway does not take a record: {said}"
            if status == _UNKNOWN:
                raise DependencyUnavailableError(
                    f"The county's gateway does not let this agent in: {said}.",
                    where=self._door.url,
                    cure="ask the county for a new token (`nplusx registry token`), and put it "
                    "where `send.token` says; it is used from the next try on.",
                )
            raise self._unreachable(f"it answers {status}: {said}")

    def _post(self, record: Record) -> tuple[int, str, float]:
        """Send once; give the status, what was said, and how long to wait."""
        asked = clock.now()
        try:
            answer = self._answer(record)
            self._look_at_clock(answer, asked)
            said = answer.read(_SAID_BYTES).decode("utf-8", "replace").strip()
            if answer.length:
                self._connection.close()
            pause = answer.getheader("Retry-After", "1")
        except (OSError, http.client.HTTPException) as failed:
            # The next try begins with a new connection.
            self._connection.close()
            raise self._unreachable(failed) from failed
        return answer.status, said, min(float(pause) if pause.isdigit() else 1.0, _LONGEST_PAUSE)

    def _answer(self, record: Record) -> http.client.HTTPResponse:
        headers = {**written(record.headers), "Authorization": f"Bearer {self._door.token}"}
        was_open = self._connection.sock is not None
        try:
            self._connection.request("POST", self._path, record.value, headers)
            return self._connection.getresponse()
        except (ConnectionError, ssl.SSLError):
            # Gateways and proxies hang up when nothing comes for some seconds.
            self._connection.close()
            if not was_open:
                raise
        self._connection.request("POST", self._path, record.value, headers)
        return self._connection.getresponse()

    def _look_at_clock(self, answer: http.client.HTTPResponse, asked: datetime) -> None:
        with suppress(ValueError):
            told = parsedate_to_datetime(answer.getheader("Date", ""))
            # A header shows whole seconds, and servers write it anew each second only.
            self.clock = Clock.between(asked, told, clock.now(), step_seconds=2)

    def _unreachable(self, why: object) -> DependencyUnavailableError:
        if isinstance(why, ssl.SSLCertVerificationError):
            return DependencyUnavailableError(
                f"The gateway's certificate is not believed: {why.verify_message}.",
                where=self._door.url,
                cure="set this machine's clock if it is wrong; renew it at the county if it has "
                "expired; or name its authority in `send.ca_file`.",
            )
        return DependencyUnavailableError(
            f"The county's gateway does not take records: {why}.",
            where=self._door.url,
            cure="correct `send.url` of the agent's file, or ask the county whether its gateway "
            "runs; what waits is sent later.",
        )

    @override
    def close(self) -> None:
        """Let go of the connection."""
        self._connection.close()
