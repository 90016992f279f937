"""How each of the two Kafka libraries logs in to the brokers, and what their silence means."""

from dataclasses import dataclass, field
from pathlib import Path

from kernel.errors import DependencyUnavailableError

# A body of 4 MiB, its headers and the framing of a batch of one.
RECORD_BYTES = (4 << 20) + (64 << 10)


@dataclass(frozen=True, slots=True)
class Login:
    """Encryption and identity: TLS, a certificate of our own, a user; or nothing of these."""

    tls: bool = False
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    mechanism: str = ""
    user: str = ""
    password: str = field(default="", repr=False)

    @property
    def _protocol(self) -> str:
        return ("SASL_" if self.user else "") + ("SSL" if self.tls else "PLAINTEXT")

    def for_kafka_python(self) -> dict[str, object]:
        """Say it as kafka-python's options."""
        said: dict[str, object] = {"security_protocol": self._protocol}
        if self.tls:
            said |= {
                "ssl_cafile": _text(self.ca_file), "ssl_certfile": _text(self.certificate_file),
                "ssl_keyfile": _text(self.key_file),
            }  # fmt: skip
        if self.user:
            said |= {
                "sasl_mechanism": self.mechanism, "sasl_plain_username": self.user,
                "sasl_plain_password": self.password,
            }  # fmt: skip
        return said

    def for_librdkafka(self) -> dict[str, str]:
        """Say it as librdkafka's options."""
        said = {
            "security.protocol": self._protocol.lower(),
            "ssl.ca.location": _text(self.ca_file),
            "ssl.certificate.location": _text(self.certificate_file),
            "ssl.key.location": _text(self.key_file),
            "sasl.mechanism": self.mechanism if self.user else None,
            "sasl.username": self.user or None,
            "sasl.password": self.password or None,
        }
        return {name: text for name, text in said.items() if text is not None}


NOBODY = Login()


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


def refused(topic: str, why: object) -> DependencyUnavailableError:
    """Say that the brokers do not take a record, although they are there."""
    text = str(why).rstrip(".")
    if "authoriz" in text.lower():
        return DependencyUnavailableError(
            f"Kafka forbids this user to write: {text}.",
            where=f"topic {topic}",
            cure="let the county grant it: `nplusx registry allow`; what waits is sent then.",
        )
    if "metadata" in text or "UnknownTopic" in text:
        return DependencyUnavailableError(
            f"Kafka holds no such topic, or does not show it: {text}.",
            where=f"topic {topic}",
            cure="let the county make it (`nplusx up`, or `nplusx land`) or grant it "
            "(`nplusx registry allow`); what waits is sent then.",
        )
    return DependencyUnavailableError(
        f"Kafka did not take a record: {text}.",
        where=f"topic {topic}",
        cure="see whether the brokers run and have room; what waits is sent later.",
    )


def unreachable(bootstrap: str, why: object) -> DependencyUnavailableError:
    """Say that the brokers do not answer, or not to us."""
    text = str(why)
    if "certificate" in text.lower():
        return DependencyUnavailableError(
            f"Kafka's certificate is not believed, or ours is not: {text}.",
            where=bootstrap,
            cure="name the authority of the brokers in NPLUSX_KAFKA_CA_FILE; set this machine's "
            "clock if it is wrong; renew a certificate that has expired.",
        )
    if "authenticat" in text.lower():
        return DependencyUnavailableError(
            f"Kafka does not know us: {text}.",
            where=bootstrap,
            cure="correct NPLUSX_KAFKA_USER and the file NPLUSX_KAFKA_PASSWORD_FILE.",
        )
    if "authoriz" in text.lower():
        return DependencyUnavailableError(
            f"Kafka forbids it: {text}.",
            where=bootstrap,
            cure="grant it at the brokers; for an agent the county does: `nplusx registry allow`.",
        )
    return DependencyUnavailableError(
        f"Kafka does not answer: {text}.",
        where=bootstrap,
        cure="start the broker, or correct NPLUSX_KAFKA_BOOTSTRAP_SERVERS.",
    )
