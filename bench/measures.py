"""One measure: a figure, its peer's, their ratio and the goal; kept in results.json and docs."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from kernel import canonical

RESULTS = Path(__file__).parent / "results.json"
PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"
_BEGIN, _END = "<!-- figures -->", "<!-- end of figures -->"


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured."""

    rows: int
    backlog_rows: int
    commits: int
    follow_seconds: float
    read_rows: int
    items: int


SIZES = {
    # Says that a bench works, and nothing of how quick anything is.
    "trial": Size(10_000, 20_000, 10, follow_seconds=1, read_rows=20_000, items=100),
    "small": Size(100_000, 400_000, 100, follow_seconds=5, read_rows=500_000, items=1_000),
    "full": Size(1_000_000, 20_000_000, 1_000, follow_seconds=60, read_rows=5_000_000, items=5_000),
}


@dataclass(frozen=True, slots=True)
class Measure:
    """A figure of ours; the ratio is ours to the peer's, or stands for itself."""

    id: str
    value: float
    unit: str
    rows: int
    goal: str
    met: bool
    peer: str = ""
    ratio: float | None = None
    # Seconds of each run, processor seconds, peak memory, what else helps to judge it.
    details: Mapping[str, object] | None = None

    @property
    def command(self) -> str:
        """Give the command that measures it anew."""
        return f"make bench ONLY={self.id} SIZE=full"


def rate(rows: int, seconds: Iterable[float]) -> float:
    """Give rows a second by the median of runs."""
    return round(rows / median(seconds))


def keep(measures: Iterable[Measure]) -> None:
    """Put new figures in the place of earlier ones of the same name, and write the page anew."""
    known = {each["id"]: each for each in kept()}
    known |= {each.id: {**asdict(each), "command": each.command} for each in measures}
    ordered = [known[name] for name in sorted(known, key=str)]
    RESULTS.write_text(json.dumps(ordered, indent=1, ensure_ascii=False) + "\n", "utf-8")
    write_page()


def kept() -> list[dict[str, object]]:
    """Read the figures that were measured last."""
    found: list[dict[str, object]] = (
        canonical.loads(RESULTS.read_bytes()) if RESULTS.exists() else []
    )
    return found


def write_page() -> None:
    """Write the table of figures into its page."""
    rows = [
        f"| `{each['id']}` | {each['value']:,} {each['unit']} | {each['peer'] or '–'} |"
        f" {each['ratio'] or '–'} | {each['goal']} | {'✓' if each['met'] else '✗'} |"
        f" {each['rows']:,} | {_used(each['details'])} |"
        for each in kept()
    ]
    page = PAGE.read_text("utf-8")
    head, _, rest = page.partition(_BEGIN)
    _, _, tail = rest.partition(_END)
    names = ["measure", "ours", "peer", "ratio", "goal", "met", "rows", "CPU s", "peak MiB"]
    titles = f"| {' | '.join(names)} |\n{'|---' * len(names)}|"
    table = "\n".join([titles, *rows])
    PAGE.write_text(f"{head}{_BEGIN}\n{table}\n{_END}{tail}", "utf-8")


def _used(details: object) -> str:
    """Tell the processor seconds of a run of ours, and the most memory."""
    known = details if isinstance(details, dict) else {}
    ours = known.get("ours", known.get("whole", known))
    if "cpu_seconds" not in ours:
        return "– | –"
    return f"{ours['cpu_seconds'] / len(ours.get('seconds', [0])):.1f} | {ours['peak_mib']}"
