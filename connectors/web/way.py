"""Where a server is, and how it is asked: what an agent's file says."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from connectors.fields import Fields

TIMEOUT_SECONDS = 60
REQUESTS_PER_SECOND = 5
ANSWER_BYTES = 32 << 20


@dataclass(frozen=True, slots=True)
class Way:
    """Where a server is, what it is told at the login, and how it is asked."""

    address: str
    login: Mapping[str, str] = field(default_factory=dict)
    ca_file: str = ""
    timeout_seconds: int = TIMEOUT_SECONDS
    requests_per_second: int = REQUESTS_PER_SECOND
    answer_bytes: int = ANSWER_BYTES


def way_of(fields: Fields) -> Way:
    """Read what an agent's file says of a server."""
    return Way(
        fields.address("address"),
        fields.names("login"),
        fields.file("ca_file", ""),
        fields.whole("timeout_seconds", TIMEOUT_SECONDS),
        fields.whole("requests_per_second", REQUESTS_PER_SECOND),
        fields.whole("answer_bytes", ANSWER_BYTES),
    )
