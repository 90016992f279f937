"""A packed record taken in anew: who sent it, what the gate says now, what landed of it then."""

from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

import pyarrow as pa

from bus import envelope as envelopes
from bus.envelope import Envelope
from bus.ports import Received
from contracts import gate
from contracts.gate import Verdict
from contracts.model import Contract
from contracts.schema import WARNINGS, landing_schema
from contracts.violations import TITLES, Violation
from kernel import canonical
from kernel.errors import ChecksFailedError, TamperingError
from pipeline import opening, pack
from pipeline.admission import Known, Refusal, Sender, read_head
from pipeline.pack import listing, mapping, of_its_form
from warehouse.attempts import landed_by
from warehouse.landing import LANDED, PARTIAL, Origin, month_of
from warehouse.store import Commit

Place = tuple[str, int, int]
# What an earlier version of a contract took, by how many rows: contract, version, what of it.
Earlier = Counter[tuple[str, str, str]]


@dataclass(frozen=True, slots=True)
class Past:
    """What the county says of how the rows of its pack landed: the signed bytes cannot tell."""

    # The rows of a record that are in quarantine; with the word of who waived each, if any.
    held: Mapping[Place, Mapping[int, str]]
    # By table: what finds the commit that landed a row.
    commits: Mapping[str, Callable[[str, int, int, int], Commit | None]]

    def version(self, contract: Contract, place: Place, row: int) -> str | None:
        """Name the earlier version of a contract by which a row landed, if it was one."""
        find = self.commits.get(contract.table)
        commit = find(*place, row) if find else None
        if commit is None or commit.facts["contract_digest"] == contract.digest:
            return None
        return str(commit.facts["contract_version"])


def past(files: pack.Files) -> Past:
    """Read which rows of the records are in quarantine, and which commits landed the others."""
    held: dict[Place, dict[int, str]] = {}
    with of_its_form(pack.HELD):
        for each in map(mapping, listing(canonical.loads(files[pack.HELD]))):
            said = _waived(mapping(each["waiver"])) if each["waiver"] is not None else ""
            held.setdefault(_place(each), {})[int(str(each["row"]))] = said
    commits: dict[str, list[Commit]] = {}
    with of_its_form(pack.COMMITS):
        for each in map(mapping, listing(canonical.loads(files[pack.COMMITS]))):
            facts = mapping(each["facts"])
            at = datetime.fromisoformat(str(facts["landed_at"]))
            commit = Commit(int(str(each["version"])), facts, at)
            commits.setdefault(str(each["table"]), []).append(commit)
    return Past(held, {table: landed_by(made) for table, made in commits.items()})


def _waived(word: Mapping[str, object]) -> str:
    """Tell who waived a row and why; a word of nobody or without a reason is none."""
    who, why = word["who"], word["why"]
    if not (isinstance(who, str) and who.strip() and isinstance(why, str) and why.strip()):
        raise TamperingError("A waiver names nobody or gives no reason.", where=pack.HELD)
    return f"waived by {who}: {why}"


@dataclass(frozen=True, slots=True)
class Anew:
    """A packed record taken in anew: who sent it, and its rows that landed."""

    received: Received
    envelope: Envelope
    contract: Contract
    sender: Sender
    origin: Origin
    past: Past
    rows: pa.Table
    waived: tuple[str, ...]
    # Rows that landed by an earlier version of the contract, and that today's would refuse.
    loosely: Earlier

    @property
    def place(self) -> Place:
        """Name its place on the bus."""
        return self.received.topic, self.received.partition, self.received.offset

    @property
    def number(self) -> tuple[str, str, int] | None:
        """Give stream, epoch and sequence: as in landing, a number counts within an epoch only."""
        epoch, sequence = self.envelope.epoch, self.envelope.sequence
        return (self.sender.stream, epoch, sequence) if epoch and sequence is not None else None

    def require(self, packed: pa.Table) -> Earlier:
        """Refuse rows that are not the ones that were signed; tell which an earlier version landed.

        A column that the contract has adopted since a row landed lies in the row's `_extra`.
        """
        adopted = [_beside(self.contract, each) for each in packed["_extra"].to_pylist()]
        earlier = self.loosely.copy()
        for names in set(adopted):
            is_such = pa.array([each == names for each in adopted], pa.bool_())
            mine = packed.filter(is_such)
            numbers = mine["_row"].to_pylist()
            if names:
                versions = [self.past.version(self.contract, self.place, row) for row in numbers]
                told = f", which did not know {', '.join(sorted(names))}"
                earlier.update((self.contract.id, str(each), told) for each in versions)
                if None in versions:
                    raise _not_signed(self.contract, self.place)
            signed = _only(self._without(names), set(numbers))
            # A warning is a note of landing's, by the contract of that day: nobody signed it.
            if signed.drop(WARNINGS) != mine.drop(WARNINGS):
                raise _not_signed(self.contract, self.place)
        return earlier

    def _without(self, names: frozenset[str]) -> pa.Table:
        """Give its rows as a contract without these columns lands them."""
        if not names:
            return self.rows
        kept = [each for each in self.contract.properties if each.name not in names]
        known = replace(self.contract, properties=tuple(kept))
        decoded = opening.decoded(self.received, self.envelope, known)
        count, landed = decoded.rows.num_rows, set(self.rows["_row"].to_pylist())
        refused = dict.fromkeys(set(range(count)) - landed, ())
        rows = opening.accepted(decoded, Verdict(count, refused, {}), self.origin, known)
        schema = landing_schema(self.contract)
        nothing = {name: pa.nulls(rows.num_rows, schema.field(name).type) for name in names}
        return pa.table({n: nothing[n] if n in nothing else rows[n] for n in schema.names})


def earlier_words(earlier: Earlier) -> tuple[str, ...]:
    """Word what earlier versions of contracts took."""
    return tuple(
        f"{rows} rows of {contract} landed by version {version}{what}"
        for (contract, version, what), rows in sorted(earlier.items())
    )


def take_in(
    record: Mapping[str, object], contracts: Mapping[str, Contract], known: Known, past: Past
) -> Anew:
    """Take a record in anew; what the pack says of it must be what its signed bytes say."""
    where = "/".join(str(record[name]) for name in ("topic", "partition", "offset"))
    with of_its_form(where):
        received = opening.received(record)
    envelope = envelopes.read(received)
    contract = contracts.get(envelope.get("ce_contractid"))
    if contract is None:
        raise TamperingError("A record's contract is not in the pack.", where=where)
    sender = _sender(received, contract, known)
    place = received.topic, received.partition, received.offset
    held = past.held.get(place, {})
    with of_its_form(where):
        opened = opening.decoded(received, envelope, contract)
        verdict = gate.judge(opened.rows, contract, opened.faults, waiting=held)
        versions = {
            row: version
            for row in verdict.refused.keys() - held.keys()
            if (version := past.version(contract, place, row)) is not None
        }
        still = {row: why for row, why in verdict.refused.items() if row not in versions}
        origin = opening.origin(received, envelope, sender, canonical.digest(received.value or b""))
        judged = opening.accepted(opened, replace(verdict, refused=still), origin, contract)
    _require_none_waits(judged, held, where)
    rows = _only(judged, set(judged["_row"].to_pylist()) - held.keys())
    _require_said(record, _said(origin, sender, contract, (rows.num_rows, verdict.count)), where)
    if envelope.row_count not in {None, verdict.count}:
        raise TamperingError("A record does not hold the rows that it counts.", where=where)
    waived = tuple(
        f"row {row} of {where}, {held[row]}" for row in judged["_row"].to_pylist() if row in held
    )
    loosely: Earlier = Counter(
        (contract.id, version, _would_be_refused(contract, verdict.refused[row]))
        for row, version in versions.items()
    )
    return Anew(received, envelope, contract, sender, origin, past, rows, waived, loosely)


def _would_be_refused(contract: Contract, why: Iterable[Violation]) -> str:
    codes = ", ".join(each.code for each in why)
    return f"; by {contract.version} they would be refused: {codes}"


def _require_none_waits(rows: pa.Table, held: Mapping[int, str], where: str) -> None:
    """Refuse rows that stay in quarantine though the gate takes them by now, unless waived."""
    for number in rows["_row"].to_pylist():
        if number in held and not held[number]:
            raise ChecksFailedError(
                f"Row {number} waits in quarantine, and the gate takes it by now.",
                where=where,
                cure="run `nplusx quarantine replay`, then refine, assess and seal.",
            )


def _said(
    origin: Origin, sender: Sender, contract: Contract, counts: tuple[int, int]
) -> Mapping[str, object]:
    """Give what must be said of a record of which so many rows landed, of so many."""
    landed, count = counts
    return {
        "contract": contract.id,
        "digest": origin.record_digest,
        "key_id": sender.key_id,
        "enterprise": origin.enterprise,
        "stream": origin.stream,
        "epoch": origin.epoch,
        "sequence": origin.sequence,
        "rows": count,
        "landed": landed,
        "quarantined": count - landed,
        "verdict": LANDED if landed == count else PARTIAL,
        "_month": month_of(origin.broker_at),
    }


def _require_said(record: Mapping[str, object], said: Mapping[str, object], where: str) -> None:
    for name, value in said.items():
        if record[name] != value:
            raise TamperingError(f"A record's {name} is not what was signed.", where=where)


def _sender(received: Received, contract: Contract, known: Known) -> Sender:
    """Ask of a record again what landing asked: its form, signature, key, sender and right."""
    head = read_head(received, contract, known)
    faults = head.faults_with(canonical.digest(received.value or b""))
    sender = head.sender
    if isinstance(sender, Sender) and not faults:
        return sender
    refused = (*faults, *(sender.kinds if isinstance(sender, Refusal) else ()))
    why = "; ".join(dict.fromkeys(TITLES[each].en for each in refused))
    raise TamperingError(
        f"Landing would refuse this record: {why}.",
        where=f"{received.topic}/{received.partition}/{received.offset}",
    )


def _beside(contract: Contract, extra: str | None) -> frozenset[str]:
    """Name the columns of today's contract that lie in a row's `_extra`."""
    if extra is None:
        return frozenset()
    known = {each.name for each in contract.properties if each.key_position is None}
    with of_its_form(pack.rows_name(contract.table)):
        return frozenset(known.intersection(mapping(canonical.loads(extra))))


def _only(rows: pa.Table, numbers: Container[int]) -> pa.Table:
    keep = [each in numbers for each in rows["_row"].to_pylist()]
    return rows.filter(pa.array(keep, pa.bool_()))


def _not_signed(contract: Contract, place: Place) -> TamperingError:
    where = f"{contract.table}@{'/'.join(map(str, place))}"
    return TamperingError("A packed row is not the one that was signed.", where=where)


def _place(record: Mapping[str, object]) -> Place:
    return str(record["topic"]), int(str(record["partition"])), int(str(record["offset"]))
