"""Joins ports and adapters: the only module that names a concrete adapter.

Each adapter loads when it is asked for: an agent needs a way out, and neither tables nor registry.
"""

import os
import secrets
from base64 import b64encode
from collections.abc import Mapping
from contextlib import closing, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from kernel.errors import ConfigurationError, DependencyUnavailableError, TamperingError
from kernel.evidence import SigningKey
from kernel.ids import AgentId, EnterpriseId, KeyId
from pipeline.settings import Settings

if TYPE_CHECKING:
    from bus.kafka import KafkaBus
    from bus.ports import Bus
    from pipeline.admission import Known
    from registry.certificates import ConnectorCertificate
    from registry.database import Registry
    from registry.keys import RegisteredKey
    from registry.people import Enterprise, User
    from warehouse.store import TableStore
    from warehouse.tables import Engine


def store(settings: Settings) -> "TableStore":
    """Open the tables."""
    from warehouse.delta import DeltaStore

    return DeltaStore(settings.lake_uri)


def engine() -> "Engine":
    """Give who runs the SQL."""
    from warehouse.engines.duck import DuckEngine

    return DuckEngine()


def bus(settings: Settings) -> "Bus":
    """Give the bus."""
    return _kafka(settings)


def let_write(settings: Settings, principal: str) -> None:
    """Let somebody write to the bus, and do nothing else there."""
    with closing(_kafka(settings)) as brokers:
        brokers.let_write(principal)


def _kafka(settings: Settings) -> "KafkaBus":
    from bus.brokers import Login
    from bus.kafka import KafkaBus

    kafka = settings.kafka
    login = Login(
        kafka.tls, kafka.ca_file, kafka.certificate_file, kafka.key_file, kafka.mechanism,
        kafka.user, _password(kafka.password_file),
    )  # fmt: skip
    return KafkaBus(
        settings.bootstrap_servers,
        kafka.partitions,
        kafka.replication,
        kafka.timeout_seconds,
        login,
    )


def _password(path: Path | None) -> str:
    try:
        return "" if path is None else path.read_text("utf-8-sig").strip()
    except (OSError, UnicodeDecodeError) as unread:
        raise ConfigurationError(
            "The password for Kafka cannot be read.",
            where=f"NPLUSX_KAFKA_PASSWORD_FILE: {path}",
            cure="write it there as one line of text, readable by this user alone.",
        ) from unread


@cache
def _registry_at(url: str) -> "Registry":
    from registry.database import migrate, open_registry

    found = open_registry(url)
    migrate(found)
    return found


def registry(settings: Settings) -> "Registry":
    """Open the registry, moved forward to this version."""
    return _registry_at(settings.registry_url)


def keys(settings: Settings) -> "Mapping[KeyId, RegisteredKey]":
    """Give the keys with which agents sign."""
    from registry.keys import keyring

    return keyring(registry(settings))


def agents(settings: Settings) -> Mapping[AgentId, EnterpriseId]:
    """Give the registered agents with their enterprises."""
    from registry import keys as registered

    return registered.agents(registry(settings))


def certificates(settings: Settings) -> "tuple[ConnectorCertificate, ...]":
    """Give the certificates of connectors, the oldest first."""
    from registry import certificates as registered

    return registered.certificates(registry(settings))


def enterprises(settings: Settings) -> "Mapping[str, Enterprise]":
    """Give the registered enterprises."""
    from registry import people

    return people.enterprises(registry(settings))


def known(settings: Settings) -> "Known":
    """Ask the registry whom to believe."""
    from pipeline.admission import Known

    return Known(keys(settings), enterprises(settings))


def user(settings: Settings, username: str) -> "User | None":
    """Find a user of the portal."""
    from registry import people

    return people.find_user(registry(settings), username)


def login(settings: Settings, username: str, password: str) -> "User | None":
    """Find a user if the password is right; a wrong name takes as long as a wrong password."""
    from registry import people

    found = people.find_user(registry(settings), username)
    return found if people.check_password(found, password) else None


def county_key(settings: Settings) -> SigningKey:
    """Give the key that seals evidence; it is made once, and never where another has sealed."""
    from warehouse import ledger

    path = settings.state_dir / "keys" / "county.key"
    sealers = ledger.sealers(store(settings))
    if sealers and not path.exists():
        raise ConfigurationError(
            f"The county's key is missing, and the ledger is sealed by {', '.join(sealers)}.",
            where=str(path),
            cure="restore that file from a backup; a new key would break the chain of evidence.",
        )
    key = SigningKey.from_text(secret(path), str(path))
    if others := [each for each in sealers if each != key.public.id]:
        raise TamperingError(
            f"The county's key is {key.public.id}, and the ledger is sealed by {others[0]}.",
            where=str(path),
            cure="restore the key that sealed from a backup; if this is the right one, find out "
            "who changed the ledger.",
        )
    return key


def secret(path: Path) -> str:
    """Read a secret of 32 bytes in base64, or make it once; two starts at once agree on one."""
    try:
        return _secret(path)
    except UnicodeDecodeError as broken:
        raise ConfigurationError(
            "This secret is not text.", where=str(path), cure="restore it from a backup."
        ) from broken
    except OSError as failed:
        raise DependencyUnavailableError(
            f"The secret can be neither read nor made: {failed.strerror}.",
            where=str(path),
            cure="make room on the disk, or mend the permission of that file and its folder.",
        ) from failed


def _secret(path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        # Written whole under another name, then linked: a reader never sees half of it.
        made = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        try:
            handle = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(b64encode(secrets.token_bytes(32)))
            with suppress(FileExistsError):
                os.link(made, path)
        finally:
            made.unlink(missing_ok=True)
    return path.read_text(encoding="utf-8").strip()
