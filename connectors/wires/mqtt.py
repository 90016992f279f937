"""The one door to paho: a connection to an MQTT broker, kept by paho's own thread."""

import secrets
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from kernel.errors import ConfigurationError, DependencyUnavailableError, NplusxError

_PORTS = {"mqtt": 1883, "mqtts": 8883}
_KEEP_ALIVE = 30
_LONGEST_WAIT = 30
# What escapes from a callback would end paho's thread without a word.
_FAILURES = (Exception,)


@dataclass(frozen=True, slots=True)
class Broker:
    """Where a broker is, and who we are to it."""

    url: str
    user: str
    password: str
    ca_file: str


@dataclass(frozen=True, slots=True)
class Ears:
    """What is told: that the connection stands, that it listens, that it broke, what came."""

    on_connect: Callable[[], None]
    on_ready: Callable[[], None]
    on_trouble: Callable[[NplusxError], None]
    on_message: Callable[[str, bytes], None]


class MqttLink:
    """Connects, and connects again; what is told comes from paho's thread."""

    def __init__(
        self, broker: Broker, client_id: str, will: tuple[str, bytes] | None, ears: Ears
    ) -> None:
        self._where, self._ears = broker.url, ears
        self.is_refused = False
        parts = urlsplit(broker.url)
        if parts.scheme not in _PORTS or not parts.hostname:
            raise ConfigurationError(
                "The address of the broker is not of the form mqtt://host:port or mqtts://….",
                where=broker.url,
                cure="correct `url`.",
            )
        self._client = Client(CallbackAPIVersion.VERSION2, client_id, clean_session=True)
        if broker.user:
            self._client.username_pw_set(broker.user, broker.password)
        if parts.scheme == "mqtts":
            try:
                self._client.tls_set(ca_certs=broker.ca_file or None)
            except (OSError, ValueError) as broken:
                raise ConfigurationError(
                    f"The authorities' certificates cannot be read: {broken}.",
                    where=broker.ca_file,
                    cure="name a PEM file as `ca_file`.",
                ) from broken
        if will:
            self._client.will_set(*will, qos=1, retain=True)
        # Many agents must not come back all at once.
        self._client.reconnect_delay_set(1 + secrets.randbelow(3), _LONGEST_WAIT)
        self._client.on_connect = self._on_connect
        self._client.on_connect_fail = lambda *_: self._fail("it cannot be reached")
        self._client.on_disconnect = self._on_disconnect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message
        self._client.connect_async(parts.hostname, parts.port or _PORTS[parts.scheme], _KEEP_ALIVE)
        self._client.loop_start()

    def subscribe(self, topics: Sequence[str]) -> None:
        """Ask for what is published."""
        self._client.subscribe([(each, 1) for each in topics])

    def publish(self, topic: str, body: bytes, *, retain: bool = False) -> None:
        """Say something."""
        self._client.publish(topic, body, qos=1 if retain else 0, retain=retain)

    def close(self) -> None:
        """Say goodbye."""
        self._client.disconnect()
        self._client.loop_stop()

    def _on_connect(
        self, _client: Client, _data: object, _flags: ConnectFlags, code: ReasonCode,
        _properties: Properties | None,
    ) -> None:  # fmt: skip
        if not code.is_failure:
            self._tell(self._ears.on_connect)
            return
        said = str(code)
        if "user name" in said.lower() or "authori" in said.lower():
            self._ears.on_trouble(
                ConfigurationError(
                    f"The broker refuses the user or the password: {said}.",
                    where=self._where,
                    cure="correct `user`, and the password in its file or variable.",
                )
            )
        else:
            self._fail(said)

    def _on_subscribe(
        self, _client: Client, _data: object, _number: int, codes: list[ReasonCode],
        _properties: Properties | None,
    ) -> None:  # fmt: skip
        self.is_refused = any(each.is_failure for each in codes)
        if not self.is_refused:
            self._tell(self._ears.on_ready)
            return
        self._ears.on_trouble(
            ConfigurationError(
                "The broker does not let this user listen.",
                where=self._where,
                cure="let the user read `spBv1.0/#`, and write the host's STATE and NCMD.",
            )
        )

    def _on_disconnect(
        self, _client: Client, _data: object, _flags: DisconnectFlags, code: ReasonCode,
        _properties: Properties | None,
    ) -> None:  # fmt: skip
        self.is_refused = False
        if code.is_failure:
            self._fail(f"the connection broke ({code})")

    def _on_message(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        self._tell(lambda: self._ears.on_message(message.topic, bytes(message.payload)))

    def _tell(self, tell: Callable[[], None]) -> None:
        """Begin with another connection when what came cannot be taken."""
        try:
            tell()
        except _FAILURES as odd:
            self._fail(f"what it said cannot be taken ({type(odd).__name__} {odd})")
            wire = self._client.socket()
            if isinstance(wire, socket.socket):
                with suppress(OSError):
                    wire.shutdown(socket.SHUT_RDWR)

    def _fail(self, why: str) -> None:
        self._ears.on_trouble(
            DependencyUnavailableError(
                f"The broker is not there: {why}.",
                where=self._where,
                cure="check `url`, that the broker runs, and the network; the agent tries on.",
            )
        )
