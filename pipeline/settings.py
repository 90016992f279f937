"""The one typed class of settings: `NPLUSX_<AREA>_<KEY>` in the environment."""

import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from kernel.errors import ConfigurationError

ROOT = Path(__file__).resolve().parent.parent
_OTHERS_MAY_PASS = 0o001
_PREFIX = "NPLUSX_"
_BROKER = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):([1-9][0-9]{0,4})")
_WEB = re.compile(r"https?://[A-Za-z0-9.:\[\]-]+(?:/[!-~]*)?")
_LAST_PORT = 65_535
# How alike two names are when one is taken for a slip of the other.
_ALIKE = 0.8


def _default_state() -> Path:
    """Keep state in the checkout, or elsewhere if an unprivileged database could not reach it."""
    reachable = all(
        folder.stat().st_mode & _OTHERS_MAY_PASS
        for folder in (ROOT, *ROOT.parents)
        if folder.exists()
    )
    if os.name == "posix" and os.geteuid() == 0 and not reachable:
        name = hashlib.sha256(str(ROOT).encode()).hexdigest()[:12]
        return Path("/var/lib/nplusx") / name
    return ROOT / ".state"


def _web_address(url: str) -> str:
    if url and not _WEB.fullmatch(url):
        raise ValueError("it is not http(s)://host/path, without a user")
    return url


class StateSettings(BaseModel):
    """Where everything that must survive a restart lives."""

    dir: Path = Field(
        default_factory=_default_state,
        description="The one folder of all state: lake, registry, keys, ledger, logs.",
    )


class KafkaSettings(BaseModel):
    """The bus."""

    bootstrap_servers: str = Field(
        "", description="Brokers, `host:port,…`; empty: the embedded broker of this state folder."
    )
    port: int = Field(
        29192, ge=1, le=65_535, description="Port of the embedded broker on loopback."
    )
    controller_port: int = Field(
        29193, ge=1, le=65_535, description="Port of the embedded broker's controller."
    )
    heap_mb: int = Field(512, ge=256, description="Heap of the embedded broker, in MiB.")
    partitions: int = Field(2, ge=1, description="Partitions of a topic when it is created; fixed.")
    replication: int = Field(1, ge=1, description="Replicas of a topic when it is created.")
    timeout_seconds: float = Field(
        15.0, gt=0, description="How long a call to the broker may take."
    )
    tls: bool = Field(default=False, description="Speak TLS to the brokers.")
    ca_file: Path | None = Field(
        None, description="PEM file of who vouches for the brokers; empty: the system's."
    )
    certificate_file: Path | None = Field(
        None, description="PEM file of our own certificate, where brokers ask for one."
    )
    key_file: Path | None = Field(None, description="PEM file of that certificate's key.")
    user: str = Field("", description="User to log in as; empty: none.")
    password_file: Path | None = Field(None, description="File with that user's password.")
    mechanism: Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"] = Field(
        "SCRAM-SHA-512", description="How a user logs in."
    )

    @field_validator("bootstrap_servers")
    @classmethod
    def _addresses(cls, servers: str) -> str:
        for each in servers.split(",") if servers else ():
            found = _BROKER.fullmatch(each)
            if found is None or int(found[1]) > _LAST_PORT:
                raise ValueError(f"{each!r} is not host:port, and commas part several")
        return servers


class LakeSettings(BaseModel):
    """The tables."""

    uri: str = Field(
        "", description="Folder or `s3://…` of the tables; empty: `lake` in the state folder."
    )


class RegistrySettings(BaseModel):
    """Who is who."""

    url: str = Field("", description="SQLAlchemy address; empty: SQLite in the state folder.")


class AirflowSettings(BaseModel):
    """The scheduler of the embedded stack."""

    port: int = Field(
        28080, ge=1, le=65_535, description="Port of Airflow's pages and API on loopback."
    )
    parallelism: int = Field(4, ge=1, description="Tasks that may run at once.")


class PortalSettings(BaseModel):
    """The web pages."""

    host: str = Field("127.0.0.1", description="Address that the portal listens on.")
    port: int = Field(28000, ge=1, le=65_535, description="Port of the portal.")
    session_hours: int = Field(12, ge=1, description="How long a login lasts.")
    secret_file: Path | None = Field(
        None, description="File with the key of session cookies; empty: made in the state folder."
    )
    metrics_token_file: Path | None = Field(
        None,
        description="File with the bearer token of `/prometheus`; empty: made in the state folder.",
    )
    secure_cookie: bool = Field(
        default=False, description="Send cookies over HTTPS only; on behind a TLS proxy."
    )


class IngestSettings(BaseModel):
    """The gateway for factories that only reach the web."""

    host: str = Field("127.0.0.1", description="Address that the gateway listens on.")
    port: int = Field(28443, ge=1, le=65_535, description="Port of the gateway.")
    certificate_file: Path | None = Field(
        None, description="PEM file of its certificate; empty: plain HTTP, behind a TLS proxy."
    )
    key_file: Path | None = Field(None, description="PEM file of the certificate's key.")
    records_per_minute: int = Field(
        1200, ge=1, description="Records that one agent may send in a minute."
    )


class DemoSettings(BaseModel):
    """The demo's simulated county."""

    factories: int = Field(12, ge=1, le=999, description="Factories of the demo's county.")
    faults: str = Field(
        "negative_quantity,missing_day,bad_uscc,short_number,missing_number@3,wrong_unit@2,"
        "second_hand@4,reused@2,unpaid@3,back_dated@4,related_party@5,split_claim@2,red_flushed@7",
        description="What is planted, as `nplusx county generate --faults` takes it.",
    )


class LandSettings(BaseModel):
    """How records become rows."""

    commit_bytes: int = Field(
        64 << 20, ge=1 << 20, description="Body bytes, unfolded, after which a commit is made."
    )
    commit_rows: int = Field(100_000, ge=1, description="Rows after which a commit is made.")
    commit_seconds: float = Field(
        5.0, gt=0, description="Age of the oldest record that forces a commit."
    )
    follow_seconds: float = Field(
        0.6, gt=0, description="How long `land --follow` gathers records for a commit."
    )
    record_bytes: int = Field(4 << 20, ge=1 << 16, description="Largest record that is accepted.")
    poll_seconds: float = Field(
        1.0, gt=0, description="How often the lag trigger looks at the bus."
    )
    nudge_seconds: float = Field(
        300.0, gt=0, description="After how long an unchanged lag wakes again."
    )


class AuditSettings(BaseModel):
    """The second opinion."""

    rows: int = Field(50_000, ge=1, description="Rows that one audit of one table looks at.")
    lateness_hours: int = Field(
        24,
        ge=0,
        description="How long a row may refer to one that has not come while either's stream"
        " goes on.",
    )


class MaintainSettings(BaseModel):
    """How tables are kept small and quick."""

    retention_hours: int = Field(
        168, ge=1, description="How long a reader may go on with an older version of a table."
    )
    attempt_hours: int = Field(
        24, ge=1, description="Age after which rows of a landing that came to nothing are cleared."
    )
    file_bytes: int = Field(
        128 << 20, ge=1 << 20, description="Size up to which small files are merged into one."
    )

    @property
    def retention(self) -> timedelta:
        """Give the span."""
        return timedelta(hours=self.retention_hours)

    @property
    def attempt_age(self) -> timedelta:
        """Give the span."""
        return timedelta(hours=self.attempt_hours)


class DoctorSettings(BaseModel):
    """What the doctor puts up with."""

    patience_seconds: float = Field(
        900.0, gt=0, description="How long records may wait, and an agent be silent."
    )
    stale_hours: float = Field(
        168.0, gt=0, description="After how long without a record a factory's source is stale."
    )

    @property
    def patience(self) -> timedelta:
        """Give the span."""
        return timedelta(seconds=self.patience_seconds)

    @property
    def stale(self) -> timedelta:
        """Give the span."""
        return timedelta(hours=self.stale_hours)


class LineageSettings(BaseModel):
    """Who is told what each run read and wrote."""

    url: str = Field(
        "",
        description="Where OpenLineage events are posted, `http(s)://…/api/v1/lineage`; empty: "
        "`lineage` in the state folder, a file a month.",
    )
    token_file: Path | None = Field(
        None, description="File with the receiver's bearer token; empty: none."
    )

    @field_validator("url")
    @classmethod
    def _address(cls, url: str) -> str:
        return _web_address(url)


class LogSettings(BaseModel):
    """What is written down while it runs."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least level shown."
    )
    json_lines: bool = Field(default=False, description="JSON lines instead of coloured text.")


class CrashSettings(BaseModel):
    """For tests of recovery only."""

    dir: Path | None = Field(
        None, description="Folder of one-shot crash points; empty: none. For tests only."
    )


class Settings(BaseSettings):
    """All settings; each is an area and a key."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX,
        env_nested_delimiter="_",
        env_nested_max_split=1,
        env_ignore_empty=True,
        extra="ignore",
    )

    state: StateSettings = Field(default_factory=StateSettings)
    kafka: KafkaSettings = Field(default_factory=KafkaSettings)
    lake: LakeSettings = Field(default_factory=LakeSettings)
    registry: RegistrySettings = Field(default_factory=RegistrySettings)
    airflow: AirflowSettings = Field(default_factory=AirflowSettings)
    portal: PortalSettings = Field(default_factory=PortalSettings)
    ingest: IngestSettings = Field(default_factory=IngestSettings)
    demo: DemoSettings = Field(default_factory=DemoSettings)
    land: LandSettings = Field(default_factory=LandSettings)
    audit: AuditSettings = Field(default_factory=AuditSettings)
    maintain: MaintainSettings = Field(default_factory=MaintainSettings)
    doctor: DoctorSettings = Field(default_factory=DoctorSettings)
    lineage: LineageSettings = Field(default_factory=LineageSettings)
    log: LogSettings = Field(default_factory=LogSettings)
    crash: CrashSettings = Field(default_factory=CrashSettings)

    @cached_property
    def state_dir(self) -> Path:
        """Give the state folder as an absolute path."""
        return self.state.dir.expanduser().absolute()

    @property
    def bootstrap_servers(self) -> str:
        """Name the brokers."""
        return self.kafka.bootstrap_servers or f"127.0.0.1:{self.kafka.port}"

    @property
    def lake_uri(self) -> str:
        """Name the place of the tables."""
        return self.lake.uri or str(self.state_dir / "lake")

    @property
    def registry_url(self) -> str:
        """Name the registry's database."""
        return self.registry.url or f"sqlite:///{self.state_dir / 'registry.sqlite'}"


def read_settings() -> Settings:
    """Read the environment; a wrong value, or a name that is nearly one, is named."""
    _refuse_misspelt(environment())
    try:
        return Settings()
    except ValidationError as wrong:
        first = wrong.errors()[0]
        variable = _PREFIX + "_".join(str(part) for part in first["loc"]).upper()
        raise ConfigurationError(
            f"{variable} is not usable: {first['msg'].removeprefix('Value error, ')}.",
            where="the environment",
            cure=f"set {variable} to a valid value, or unset it.",
        ) from wrong


def _refuse_misspelt(names: Iterable[str]) -> None:
    """Refuse what would be ignored; other names may be secrets that an agent's file stands on."""
    areas = {f"{area}_".upper(): field.annotation for area, field in Settings.model_fields.items()}
    known = [
        area + key.upper()
        for area, section in areas.items()
        for key in getattr(section, "model_fields", {})
    ]
    for name in sorted(each.upper() for each in names if each.upper().startswith(_PREFIX)):
        rest = name.removeprefix(_PREFIX)
        if rest in known:
            continue
        if rest.startswith(tuple(areas)) or get_close_matches(rest, known, 1, _ALIKE):
            nearest = _PREFIX + get_close_matches(rest, known, 1, 0.0)[0]
            raise ConfigurationError(
                f"There is no setting {name}.",
                where="the environment",
                cure=f"write {nearest} if that is meant, or unset it; docs/reference/settings.md "
                "lists all. A secret for an agent's file needs a name unlike these.",
            )


def environment() -> Mapping[str, str]:
    """Give the variables that `${NAME}` in an agent's file may stand for."""
    return dict(os.environ)  # noqa: TID251 - the one place that reads it
