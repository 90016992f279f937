"""Wake: tells Airflow what `land --follow` landed, as the DAG's own task does; landing never waits.

The event is a hint: one that is lost costs time only, for every stage works from watermarks.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from threading import Event, Lock
from urllib.parse import quote

from contracts.model import Contract
from kernel import canonical
from kernel.errors import NplusxError
from kernel.ids import ContractId
from kernel.log import logger
from pipeline.pack import listing, mapping
from pipeline.settings import AirflowSettings
from pipeline.web import TROUBLE, call
from warehouse.store import Commit, TableStore

# The outlet of the DAG `land`.
LANDING = "x-nplusx://county/landing"
# What lands meanwhile goes into the next event: each makes a run of the next stage.
_PAUSE_SECONDS = 1.0
_KEYS = (
    "table_version", "contract_id", "contract_version", "offsets", "rows_in", "rows_landed",
    "rows_quarantined",
)  # fmt: skip
Extra = Mapping[str, object]


@dataclass(slots=True)
class Waker:
    """Gathers what was committed since the last event, and sends it as one."""

    airflow: AirflowSettings
    store: TableStore
    # The version of each table that Airflow knows of.
    told: dict[ContractId, int] = field(default_factory=dict)
    _waiting: dict[ContractId, Contract] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)
    _news: Event = field(default_factory=Event)
    _is_well: bool = True

    def watch(self, contract: Contract) -> None:
        """Begin with what the table holds now."""
        if self.store.exists(contract.table):
            self.told.setdefault(contract.id, self.store.open(contract.table).version)

    def landed(self, contract: Contract) -> None:
        """Note that something was committed; what could not be told before goes with it."""
        with self._lock:
            self._waiting[contract.id] = contract
        self._news.set()

    def run(self, stop: Event) -> None:
        """Tell until told to stop, the last news included."""
        while not stop.is_set():
            if self._news.wait(_PAUSE_SECONDS):
                self.tell()
                stop.wait(_PAUSE_SECONDS)
        self.tell()

    def tell(self) -> None:
        """Send what waits; trouble is logged once, and it goes with the next commit."""
        self._news.clear()
        with self._lock:
            waiting, self._waiting = self._waiting, {}
        try:
            found = {name: self._since(contract) for name, contract in waiting.items()}
            extras = {name: extra for name, extra in found.items() if extra}
            if extras:
                self._send({key: {n: e[key] for n, e in extras.items()} for key in _KEYS})
        except (NplusxError, *TROUBLE) as failed:
            if self._is_well:
                # The kind only: its words may quote what the address holds.
                logger("wake").warning("airflow is not told", error=type(failed).__name__)
            self._is_well = False
            with self._lock:
                self._waiting = {**waiting, **self._waiting}
            return
        self._is_well = True
        self.told |= {name: int(str(extra["table_version"])) for name, extra in extras.items()}

    def _since(self, contract: Contract) -> Extra | None:
        handle = self.store.open(contract.table)
        since = self.told.get(contract.id, -1)
        commits = [each for each in handle.commits() if each.version > since]
        return _extra(contract, commits) if commits else None

    def _send(self, extra: Extra) -> None:
        base = self.airflow.url.rstrip("/")
        headers = self._login(base)
        query = f"{base}/api/v2/assets?uri_pattern={quote(LANDING, safe='')}"
        known = mapping(canonical.loads(call("GET", query, None, headers)))
        named = [each for each in map(mapping, listing(known["assets"])) if each["uri"] == LANDING]
        event = canonical.dumps({"asset_id": named[0]["id"], "extra": extra})
        call("POST", f"{base}/api/v2/assets/events", event, headers)

    def _login(self, base: str) -> Mapping[str, str]:
        if self.airflow.password_file is None:
            return {}
        password = self.airflow.password_file.read_text(encoding="utf-8").strip()
        said = canonical.dumps({"username": self.airflow.user, "password": password})
        token = mapping(canonical.loads(call("POST", f"{base}/auth/token", said, {})))
        return {"Authorization": f"Bearer {token['access_token']}"}


def _extra(contract: Contract, commits: list[Commit]) -> Extra:
    """Give the facts that the DAG's event carries, of some commits together."""
    counts = [mapping(each.facts.get("counts", {})) for each in commits]
    return {
        "table_version": commits[-1].version,
        "contract_id": contract.id,
        "contract_version": contract.version,
        "offsets": {part: [min(span), max(span)] for part, span in _spans(commits).items()},
        **{
            f"rows_{name}": sum(int(str(each.get(count, 0))) for each in counts)
            for name, count in (("in", "rows"), ("landed", "landed"), ("quarantined",) * 2)
        },
    }


def _spans(commits: list[Commit]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for part, span in _offsets(commits):
        found.setdefault(part, []).extend(span)
    return found


def _offsets(commits: list[Commit]) -> Iterator[tuple[str, list[int]]]:
    for each in commits:
        for part, span in mapping(each.facts.get("offsets", {})).items():
            yield part, [int(str(offset)) for offset in listing(span)]
