"""What the demo waits for and shows: the story's state, read from the same tables as anybody's."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from kernel import canonical, clock
from kernel.errors import DependencyUnavailableError
from pipeline import wiring
from pipeline.assess import Row, decisions
from pipeline.doctor import Health, examine
from pipeline.settings import Settings
from warehouse import attempts, ledger, metric, quarantine

_PAUSE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Told:
    """What happened, as the tables tell it."""

    health: Health
    reasons: Mapping[str, int]
    months: int
    decision: Row | None
    lines: tuple[Mapping[str, object], ...]
    pack: str


def arrived(settings: Settings) -> Mapping[tuple[str, str], int]:
    """Count, per enterprise and contract, the rows that landed or went to quarantine."""
    counts: Counter[tuple[str, str]] = Counter()
    for each in examine(settings).streams:
        counts[each.stream.partition("/")[0], each.contract] += each.landed + each.quarantined
    return counts


def open_claims(settings: Settings, claims: Collection[str], sealed: str) -> str:
    """Name what claims still wait for: decisions on all, and the seal of one."""
    store = wiring.store(settings)
    counts = {str(row["claim_id"]): row["decision_digest"] for row in decisions(store)}
    missing = [f"a decision on {each}" for each in sorted(set(claims) - set(counts))]
    if counts.get(sealed) not in {entry["decision_digest"] for entry in ledger.entries(store)}:
        missing.append(f"the seal of {sealed}")
    return ", ".join(missing)


def tell(settings: Settings, claim: str, pack: str) -> Told:
    """Gather what the story's last page shows."""
    store = wiring.store(settings)
    refused = attempts.quarantined(store, quarantine.SCHEMA)
    reasons = Counter(code for codes in refused["reasons"].to_pylist() for code in codes)
    months = store.open(metric.TABLE).dataset().count_rows() if store.exists(metric.TABLE) else 0
    newest = [row for row in decisions(store) if row["claim_id"] == claim]
    decision = newest[0] if newest else None
    content = decision["decision"] if decision else b"{}"
    parsed = canonical.loads(content if isinstance(content, bytes) else b"{}")
    lines = parsed.get("lines", []) if isinstance(parsed, dict) else []
    return Told(examine(settings), dict(reasons), months, decision, tuple(lines), pack)


def wait(what: str, seconds: float, missing: Callable[[], str]) -> None:
    """Wait until nothing is missing; say what was when patience ends."""
    began = clock.monotonic()
    while lacking := missing():
        if clock.monotonic() - began > seconds:
            raise DependencyUnavailableError(
                f"The story did not go on: {what} after {seconds:.0f} s; still missing: {lacking}.",
                cure="see the logs in the state folder and Airflow's page, then run it again.",
            )
        clock.sleep(_PAUSE_SECONDS)
