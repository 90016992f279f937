"""The acceptance suite: what a connector has to stand before a factory relies on it."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice

from connectors.base import NoCatalogueError
from contracts import loader as contracts
from kernel.errors import NplusxError
from kernel.skew import Clock
from pipeline import hostile, rehearsed
from pipeline.bodies import encode
from pipeline.candidate import Candidate, Said, holes
from pipeline.certificate import Outcome, Part
from pipeline.rehearsal import memory_bytes
from pipeline.rehearsed import Kill, digests, rows_of
from pipeline.skew import MOST_SKEW_SECONDS
from pipeline.soak import slope
from pipeline.sources import UNFORESEEN, check_streams

# A soak may show a slope beyond this only if it also grew by so much: allocators keep a little.
MOST_MB_PER_HOUR, LEAST_MB = 60.0, 16.0
_SETTLED_SECONDS = 1.0
_OFFERS = 10_000
_SHOWN = 200


def parts(candidate: Candidate) -> Iterator[Part]:
    """Try every part on a stream, in order."""
    for name, try_it in PARTS.items():
        yield _part(name, try_it, candidate)


def _part(name: str, try_it: "Callable[[Candidate], Said]", candidate: Candidate) -> Part:
    stream = candidate.plan.contract
    if reason := candidate.wish.skipped.get(name):
        return Part(name, stream, Outcome.SKIPPED, reason)
    said = _tried(name, try_it, candidate)
    if said.reason:
        return Part(name, stream, Outcome.SKIPPED, said.reason)
    if said.cause:
        told = f"{said.cause} ({said.told})" if said.told else said.cause
        return Part(name, stream, Outcome.FAILED, told, said.cure)
    return Part(name, stream, Outcome.PASSED, said.told)


def _tried(name: str, try_it: "Callable[[Candidate], Said]", candidate: Candidate) -> Said:
    if name in _BEHIND and not candidate.first:
        return Said("", "There is no first read to compare with.", "mend the first read.")
    try:
        return try_it(candidate)
    except NplusxError as wrong:
        return Said("", wrong.what, wrong.cure)
    except UNFORESEEN as odd:
        what = f"The source gave what nobody foresaw: {type(odd).__name__} {odd}"
        return Said("", what, "mend the connector.")


def spec(candidate: Candidate) -> Said:
    """See that the stream fills a contract that there is, in a version that there is."""
    promised, version = contracts.find(candidate.plan.contract), candidate.plan.version
    if _numbers(version) > _numbers(promised.version):
        return Said(
            "",
            f"The preset fills version {version}, and the contract is {promised.version}.",
            "install the nplusx that has it, or correct the stream's `version`.",
        )
    return Said(f"fills version {version} of {promised.version}")


def _numbers(version: str) -> list[int]:
    return [int(each) for each in version.split(".") if each.isdigit()]


def check(candidate: Candidate) -> Said:
    """Try the stream as `nplusx connector check` does."""
    plan, zone = candidate.plan, candidate.source.zone
    (found,) = check_streams(candidate.connector, [plan], zone)
    if found.problem:
        return Said("", found.problem, found.cure)
    return Said(f"readable, {len(found.columns)} columns")


def discover(candidate: Candidate) -> Said:
    """List what the source offers."""
    try:
        found = list(islice(candidate.connector.discover(), _OFFERS))
    except NoCatalogueError as none:
        return Said("", reason=none.what)
    if not found:
        return Said("", "The catalogue is empty.", "let the source's user see what it reads.")
    return Said(f"{len(found)} offers, {sum(len(each.columns) for each in found)} columns")


def first_read(candidate: Candidate) -> Said:
    """Read from the beginning to the end, or to as many rows as are wanted."""
    order = candidate.order("first")
    done = rehearsed.read(order)
    tables = rows_of(order)
    candidate.first = digests(tables)
    candidate.page_seconds = done.seconds / max(1, done.last.pages)
    if not candidate.first:
        return Said(
            f"{done.last.pages} pages",
            "The stream has no rows, so nothing can be proven of it.",
            "enter a row at the source, or correct the stream; or skip the part with a reason.",
        )
    bodies = [each for table in tables for each in encode(table, candidate.plan.version)]
    refused = sum(candidate.judged(each.body).refused for each in bodies)
    size = sum(each.nbytes for each in tables)
    told = (
        f"{len(candidate.first)} rows in {done.last.pages} pages, {size} bytes,"
        f" {done.seconds:.1f} s; the gate would refuse {refused}{holes(done)}"
    )
    return Said(told)


def incremental(candidate: Candidate) -> Said:
    """Read on behind the end: what came before does not come again."""
    order = replace(candidate.order("first"), patience_seconds=0)
    done = rehearsed.read(order)
    rows = digests(rows_of(order))
    new = rows[len(candidate.first) :]
    again = sum((Counter(new) & Counter(candidate.first)).values())
    told = f"{len(new)} rows in {done.last.pages} pages, none of them told before{holes(done)}"
    if again and candidate.is_whole:
        return Said(
            f"{len(new)} rows in {done.last.pages} pages",
            f"{again} rows were told already and came again.",
            "let the connector's cursor stand behind what it gave.",
        )
    return Said(told)


def resume(candidate: Candidate) -> Said:
    """Kill the reading at several moments; what is read in the end is what there is."""
    order = candidate.order("killed")
    kills = (
        Kill("read", 1),
        Kill("kept", 1),
        Kill("kept", 1, after_seconds=candidate.page_seconds / 2),
        Kill("read", 2),
        Kill("kept", 2),
    )
    rehearsed.killed(order, kills)
    # Who passes by only must not be waited for when it has said something.
    done = rehearsed.read(replace(order, patience_seconds=_SETTLED_SECONDS))
    return candidate.compared(digests(rows_of(order)), f"{len(kills)} times killed", done)


def duplicates(candidate: Candidate) -> Said:
    """Read anew, each page by a connector that knows the cursor only."""
    order = replace(candidate.order("reopened"), reopens=True)
    if twice := _twice(candidate.first):
        return Said(
            f"{len(candidate.first)} rows",
            f"{twice} rows come twice within one read.",
            "let the query or the mapping give what tells rows apart.",
        )
    done = rehearsed.read(order)
    told = f"read anew, another connector for each of {done.last.pages} pages"
    return candidate.compared(digests(rows_of(order)), told, done)


def skew(candidate: Candidate) -> Said:
    """Compare the source's clock with ours."""
    found = candidate.connector.clock()
    if not isinstance(found, Clock):
        return Said("", reason=found)
    told = f"{found.skew_seconds:+.3f} s against ours, ± {found.bound_seconds:.3f} s"
    if abs(found.skew_seconds) - found.bound_seconds <= MOST_SKEW_SECONDS:
        return Said(told)
    return Said(
        told,
        f"The clocks are more than {MOST_SKEW_SECONDS:.0f} s apart.",
        "let both keep the time by NTP; changes are found by the source's clock.",
    )


def hostile_names(candidate: Candidate) -> Said:
    """Give the stream's mapping, the outbox and the gate what a hostile source could send."""
    page = candidate.page()
    if page is None:
        return Said("", "The stream has no rows.", "enter one at the source.")
    plain = candidate.through(page.slice(0, hostile.FEW), candidate.source.zone)
    said, broken = [], list[str]()
    for each in hostile.of(page):
        try:
            came = candidate.through(each.rows, candidate.source.zone)
        except (NplusxError, *UNFORESEEN) as wrong:
            broken.append(f"{each.what}: {getattr(wrong, 'what', wrong)}"[:_SHOWN])
        else:
            said.append(f"{each.what}: {came.rows - plain.rows} rows, {came.refused} refused")
    for zone in hostile.ZONES:
        if candidate.through(page.slice(0, hostile.FEW), zone).rows != plain.rows:
            broken.append(f"in the zone {zone} other rows come")
    if broken:
        return Said(
            f"{len(said)} other attempts went through",
            f"One odd row stops the whole page. {'; '.join(broken[:3])}",
            "read texts with try_cast in the mapping: the gate then refuses the row alone.",
        )
    return Said(f"{len(said)} attempts and {len(hostile.ZONES)} time zones: {'; '.join(said)}")


def soak(candidate: Candidate) -> Said:
    """Read again and again; the process must not grow."""
    if not memory_bytes():
        return Said("", reason="This system does not tell how much memory a process holds.")
    done = rehearsed.read(
        replace(candidate.order("soaked"), soak_seconds=candidate.wish.soak_seconds)
    )
    found = slope(done.memory)
    if found is None:
        return Said(
            f"{len(done.memory)} pages in {done.seconds:.0f} s",
            "The soak was too short to tell a slope.",
            "give it longer with --soak.",
        )
    told = (
        f"{done.last.rows} rows in {len(done.memory)} pages, {done.seconds:.0f} s: RSS"
        f" {found.mb_per_hour:+.1f} ± {found.error:.1f} MB/h, {found.grown_mb:+.1f} MB in all"
    )
    if not found.exceeds(MOST_MB_PER_HOUR, LEAST_MB):
        return Said(told)
    return Said(
        told,
        f"The process grows by more than {MOST_MB_PER_HOUR:.0f} MB/h.",
        "let the connector forget what it gave; a longer --soak tells more exactly.",
    )


def _twice(rows: Sequence[str]) -> int:
    return len(rows) - len(set(rows))


PARTS: Mapping[str, Callable[[Candidate], Said]] = {
    "spec": spec,
    "check": check,
    "discover": discover,
    "first read": first_read,
    "incremental": incremental,
    "resume after kill": resume,
    "duplicates": duplicates,
    "clock skew": skew,
    "hostile names": hostile_names,
    "soak": soak,
}
_BEHIND = ("incremental", "resume after kill", "duplicates", "soak")
