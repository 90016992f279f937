"""Drift: what streams send beside their contract lands, and is told once per stream and version."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict

from contracts.drift import MOST, Drift
from contracts.model import Contract
from kernel import canonical
from warehouse.store import Commit, TableHandle

News = tuple[list[dict[str, object]], dict[str, int]]


def news(handle: TableHandle, contract: Contract, came: Iterable[tuple[str, Drift]]) -> News:
    """Give what the table has not told yet, and the marks that remember it: one commit, one word.

    The handle is the one through which is written, so of two that race one looks again.
    """
    told: list[dict[str, object]] = []
    marks: dict[str, int] = {}
    for stream, drift in sorted(set(came)):
        all_of_it = f"drift/{stream}/{contract.version}"
        name = f"{all_of_it}/{canonical.digest_of(list(asdict(drift).values()))[:16]}"
        count = marks.get(all_of_it, handle.mark(all_of_it) or 0)
        if handle.mark(name) is None and count < MOST:
            marks |= {name: 1, all_of_it: count + 1}
            told.append({"stream": stream, **asdict(drift)})
    return told, marks


def notices(contract: Contract, commits: Sequence[Commit]) -> Iterator[str]:
    """Say in plain words what streams send beside this version of the contract."""
    unknown: dict[str, list[str]] = {}
    for commit in commits:
        if commit.facts.get("contract_version") != contract.version:
            continue
        told = commit.facts.get("drift")
        for each in told if isinstance(told, list) else []:
            if not each["promised"]:
                unknown.setdefault(each["stream"], []).append(each["column"])
                continue
            yield (
                f"{each['stream']}: {each['column']} comes as {each['given']} where"
                f" {each['promised']} is promised; it lands, for nothing is lost."
            )
    for stream, columns in unknown.items():
        many = f", and perhaps more than these {MOST}" if len(columns) >= MOST else ""
        yield (
            f"{stream}: sends {', '.join(columns)}{many}, which {contract.id} {contract.version}"
            " does not know; kept in _extra until a newer version adopts it."
        )
