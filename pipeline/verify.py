"""Verify: recompute a sealed decision offline, from the signed bytes up, with the edge install."""

import base64
import io
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from contracts import loader
from contracts.loader import all_contracts
from contracts.model import Contract
from contracts.schema import landing_schema
from kernel import canonical
from kernel.errors import ChecksFailedError, ConfigurationError, TamperingError
from kernel.evidence import PublicKey, open_envelope
from pipeline import anew, pack, parties, wiring
from pipeline import dossier as dossiers
from pipeline.admission import Known
from pipeline.anew import Anew, Earlier, earlier_words
from pipeline.pack import listing, mapping, of_its_form
from policy.decision import decide

_PLACE = ("_topic", "_partition", "_offset")


@dataclass(frozen=True, slots=True)
class Verified:
    """What was found to hold; for unsigned records only the county vouches."""

    claim_id: str
    outcome: str
    amount_cny: str
    decision_digest: str
    sealed_by: str
    records: int
    unsigned_records: int
    unsigned_from: tuple[str, ...]
    rows: int
    # Rows that the gate would take by now, left out by the word of a person at the county.
    waived: tuple[str, ...]
    # Rows that landed by another version of their contract, and what this one says of them.
    earlier: tuple[str, ...]


def verify(path: Path, trusted: PublicKey | None = None, agents: Known | None = None) -> Verified:
    """Check a pack from its bytes to its yuan, or name the first thing that is not so.

    Who holds the county's key trusts no other seal; who holds the agents' keys trusts none of the
    pack's, nor what it says of enterprises, and no unsigned record.
    """
    files = pack.read(path)
    # Anybody can write a pack: what trips a library in it is no crash of ours.
    with of_its_form(path.name):
        return _verified(files, trusted, agents)


def _verified(files: pack.Files, trusted: PublicKey | None, agents: Known | None) -> Verified:
    signer = _check_manifest(files, trusted)
    _check_code(files)
    records = _table(files, pack.RECORDS, pack.RECORD_SCHEMA).to_pylist()
    known = _known(files, agents)
    contracts = _contracts(files)
    past = anew.past(files)
    landed = [anew.take_in(record, contracts, known, past) for record in records]
    _check_each_once(landed)
    _check_names(files, contracts.values())
    rows = {contract: _rows(files, contract) for contract in contracts.values()}
    earlier: Earlier = sum((_check_rows(*each, landed) for each in rows.items()), Counter())
    decision = _recompute(files, contracts)
    unsigned = [each.sender.enterprise for each in landed if not each.sender.key_id]
    return Verified(
        claim_id=str(decision["claim_id"]),
        outcome=str(decision["outcome"]),
        amount_cny=str(decision["amount_cny"]),
        decision_digest=canonical.digest(files[pack.DECISION]),
        sealed_by=signer.id,
        records=len(records),
        unsigned_records=len(unsigned),
        unsigned_from=tuple(sorted(set(unsigned))),
        rows=sum(each.num_rows for each in rows.values()),
        waived=tuple(word for each in landed for word in each.waived),
        earlier=earlier_words(earlier),
    )


def drill(path: Path) -> Mapping[str, str]:
    """Flip a byte of each file in a copy of the pack and give what was said; silence is an error.

    The copy is a sound archive with checksums of its own: what notices is our digests and seal.
    """
    files = pack.read(path)
    noticed: dict[str, str] = {}
    for name, data in files.items():
        flipped = bytearray(data or b"\0")
        flipped[len(flipped) // 2] ^= 1
        copy = io.BytesIO(pack.archive({**files, name: bytes(flipped)}))
        try:
            _check_manifest(pack.from_archive(copy, name), None)
        except TamperingError as said:
            noticed[name] = said.what
        else:
            raise TamperingError("A flipped byte was not noticed.", where=name)
    return noticed


def _check_manifest(files: pack.Files, trusted: PublicKey | None) -> PublicKey:
    """Check the seal and that every byte of every file is the one that was sealed."""
    key = _sealer(files, trusted)
    payload = open_envelope(files[pack.MANIFEST], pack.PAYLOAD_TYPE, key)
    with of_its_form(pack.MANIFEST):
        said = mapping(canonical.loads(payload))
        predicate = mapping(said["predicate"])
        sealed = {
            str(name["name"]): str(mapping(name["digest"])["sha256"])
            for name in map(mapping, listing(said["subject"]))
        }
    held = {name: canonical.digest(data) for name, data in files.items() if name != pack.MANIFEST}
    for name in sorted(sealed.keys() | held.keys()):
        if sealed.get(name) != held.get(name):
            raise TamperingError("This file is not what was sealed.", where=name)
    if predicate.get("merkle_root") != pack.root_of(files):
        raise TamperingError("The Merkle root does not fit the files.", where=pack.MANIFEST)
    return key


def _sealer(files: pack.Files, trusted: PublicKey | None) -> PublicKey:
    if pack.MANIFEST not in files or pack.SEALER not in files:
        raise TamperingError("The pack has no manifest or no sealer.", where=pack.MANIFEST)
    with of_its_form(pack.SEALER):
        named = PublicKey(base64.b64decode(files[pack.SEALER], validate=True))
    if trusted is not None and trusted != named:
        raise TamperingError(
            f"The pack is sealed by key {named.id}, not by {trusted.id}.", where=pack.SEALER
        )
    return named


def _check_code(files: pack.Files) -> None:
    """Refuse to recompute with other code than decided."""
    with of_its_form(pack.CODE):
        sealed = mapping(canonical.loads(files[pack.CODE]))
        there, version = mapping(sealed["files"]), sealed["version"]
    here = mapping(mapping(canonical.loads(pack.code_digests()))["files"])
    if there != here:
        other = sorted(
            name for name in there.keys() | here.keys() if there.get(name) != here.get(name)
        )
        raise ConfigurationError(
            f"The decision was made by other code than is installed: {other[0]} differs.",
            where=pack.CODE,
            cure=f"install nplusx=={version} and verify again.",
        )


def _known(files: pack.Files, agents: Known | None) -> Known:
    """Read who may have sent the records."""
    with of_its_form(pack.KEYS):
        keys = parties.read_keys(files[pack.KEYS])
    with of_its_form(pack.ENTERPRISES):
        enterprises = parties.read_enterprises(files[pack.ENTERPRISES])
    if agents is None:
        return Known(keys, enterprises)
    signing = {
        uscc: replace(each, accepts_unsigned=False) for uscc, each in agents.enterprises.items()
    }
    return Known(agents.keys, signing)


def _check_each_once(landed: Iterable[Anew]) -> None:
    """Refuse a record that is there twice, be it under another place: it would be a new version."""
    seen: set[tuple[object, ...]] = set()
    for each in landed:
        names = [each.place, each.number] if each.number else [each.place]
        if seen.intersection(names):
            raise TamperingError(
                "A record occurs twice in the pack.", where="/".join(map(str, each.place))
            )
        seen.update(names)


def _contracts(files: pack.Files) -> dict[str, Contract]:
    found: dict[str, Contract] = {}
    for name in sorted(name for name in files if name.startswith("contracts/")):
        try:
            with of_its_form(name):
                contract = loader.parse(files[name].decode(), name)
        except ConfigurationError as broken:
            raise TamperingError("This contract is not of its form.", where=name) from broken
        # The installed contract is the one whose digest the code's digests vouch for.
        if contract != all_contracts().get(contract.id):
            raise TamperingError("The contract is not the one that decided.", where=name)
        found[contract.id] = contract
    return found


def _table(files: pack.Files, name: str, schema: pa.Schema) -> pa.Table:
    with of_its_form(name):
        return pq.read_table(io.BytesIO(files[name])).select(schema.names).cast(schema)


def _rows(files: pack.Files, contract: Contract) -> pa.Table:
    return _table(files, pack.rows_name(contract.table), landing_schema(contract))


def _check_names(files: pack.Files, contracts: Iterable[Contract]) -> None:
    """Refuse a file that nothing here vouches for: somebody might take it for evidence."""
    tables = [n for c in contracts for n in (pack.rows_name(c.table), pack.contract_name(c))]
    for name in sorted(files.keys() ^ {*pack.FILES, *tables}):
        raise TamperingError("A pack holds neither more nor less than its files.", where=name)


def _check_rows(contract: Contract, rows: pa.Table, landed: Iterable[Anew]) -> Earlier:
    """Compare the packed rows with the signed ones: each there, none more, no version left out."""
    key = ("_enterprise", "_source", *contract.key)
    objects = set(_values(rows, key))
    known = {each.place: each for each in landed if each.contract == contract}
    held: dict[tuple[object, ...], list[int]] = {place: [] for place in known}
    for number, place in enumerate(_values(rows, _PLACE)):
        if place not in held:
            raise TamperingError("A row has no signed record.", where="/".join(map(str, place)))
        held[place].append(number)
    earlier: Earlier = Counter()
    for place, each in known.items():
        packed = rows.take(pa.array(held[place], pa.int64()))
        signed = zip(_values(each.rows, key), each.rows["_row"].to_pylist(), strict=True)
        wanted = {row for named, row in signed if named in objects}
        if lost := wanted - set(packed["_row"].to_pylist()):
            raise TamperingError(
                f"The signed row {min(lost)} was left out.",
                where=f"{contract.table}@{'/'.join(map(str, place))}",
            )
        earlier += each.require(packed)
    return earlier


def _values(rows: pa.Table, names: Iterable[str]) -> list[tuple[object, ...]]:
    return list(zip(*(rows[name].to_pylist() for name in names), strict=True))


def _recompute(files: pack.Files, contracts: Mapping[str, Contract]) -> Mapping[str, object]:
    """Rebuild the facts from the packed rows, decide again, compare byte by byte."""
    with of_its_form(pack.DECISION):
        sealed = mapping(canonical.loads(files[pack.DECISION]))
        claim, decided_on = str(sealed["claim_id"]), date.fromisoformat(str(sealed["decided_on"]))
    landing = {
        contract.table: landing_schema(contract).empty_table()
        for contract in all_contracts().values()
    }
    for contract in contracts.values():
        landing[contract.table] = _rows(files, contract)
    marts = dossiers.marts(wiring.engine(), landing)
    fresh = decide(dossiers.build(claim, marts), decided_on).as_json()
    if fresh != files[pack.DECISION]:
        path, there, here = first_difference(sealed, canonical.loads(fresh))
        raise ChecksFailedError(
            f"The recomputed decision differs: {path} is {here}, sealed was {there}.",
            where=pack.DECISION,
            cure="do not pay on this decision; ask who sealed it.",
        )
    return sealed


def first_difference(
    sealed: object, fresh: object, path: str = "decision"
) -> tuple[str, object, object]:
    """Find the first place at which two JSON values differ."""
    if isinstance(sealed, dict) and isinstance(fresh, dict):
        for key in sorted(sealed.keys() | fresh.keys()):
            if sealed.get(key) != fresh.get(key):
                return first_difference(sealed.get(key), fresh.get(key), f"{path}.{key}")
    if isinstance(sealed, list) and isinstance(fresh, list):
        for place, (there, here) in enumerate(zip(sealed, fresh, strict=False)):
            if there != here:
                return first_difference(there, here, f"{path}[{place}]")
    return path, sealed, fresh
