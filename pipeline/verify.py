"""Verify: recompute a sealed decision offline, from the signed bytes up, with the edge install."""

import base64
import io
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bus import envelope as envelopes
from bus.ports import Received
from contracts import decode, gate, loader
from contracts.loader import all_contracts
from contracts.model import Contract
from contracts.schema import landing_schema
from kernel import canonical
from kernel.errors import ChecksFailedError, ConfigurationError, TamperingError
from kernel.evidence import PublicKey, open_envelope
from pipeline import dossier as dossiers
from pipeline import pack, wiring
from policy.decision import decide
from warehouse.landing import RECORD_SCHEMA, Origin, with_lineage

_FOR_EVER = datetime.max.replace(tzinfo=UTC)
_LARGEST_FILE = 1 << 30
_LARGEST_PACK = 4 << 30
# A pack's records are those of the table, without the attempt under which they were written.
_RECORD_SCHEMA = pa.schema([each for each in RECORD_SCHEMA if each.name != "attempt"])


@dataclass(frozen=True, slots=True)
class Verified:
    """What was found to hold."""

    claim_id: str
    outcome: str
    amount_cny: str
    decision_digest: str
    sealed_by: str
    records: int
    unsigned_records: int
    rows: int


@dataclass(frozen=True, slots=True)
class _Key:
    """An agent's key, how the source of all that it signs must begin, and when it counts."""

    key: PublicKey
    source: str
    first: datetime
    end: datetime


def verify(path: Path, trusted: PublicKey | None = None) -> Verified:
    """Check a pack from its bytes to its yuan, or name the first thing that is not so."""
    files = _unpack(path)
    signer = _check_manifest(files, trusted)
    _check_code(files)
    records = _table(files, pack.RECORDS, _RECORD_SCHEMA).to_pylist()
    keys = _keys(files)
    for record in records:
        _check_signature(record, keys)
    contracts = _contracts(files)
    rows = 0
    for contract in contracts.values():
        rows += _check_rows(contract, _rows(files, contract), records)
    decision = _recompute(files, contracts)
    return Verified(
        claim_id=str(decision["claim_id"]),
        outcome=str(decision["outcome"]),
        amount_cny=str(decision["amount_cny"]),
        decision_digest=canonical.digest(files[pack.DECISION]),
        sealed_by=signer.id,
        records=len(records),
        unsigned_records=sum(1 for record in records if not record["key_id"]),
        rows=rows,
    )


def drill(path: Path) -> str:
    """Flip one byte of a copy and prove that it is noticed; give what was said."""
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo(pack.DECISION)
    # Past the local header, inside the decision itself.
    place = info.header_offset + 30 + len(info.filename) + info.file_size // 2
    data[place] ^= 1
    copy = io.BytesIO(bytes(data))
    try:
        _check_manifest(_read_archive(copy, str(path)), None)
    except TamperingError as noticed:
        return str(noticed)
    raise TamperingError("A flipped byte was not noticed.", where=str(path))


def _unpack(path: Path) -> pack.Files:
    try:
        # A device or a pipe could be read for ever.
        if path.exists() and not path.is_file():
            raise ConfigurationError(
                "This is not a file.", where=str(path), cure="name the pack itself, a .zip file."
            )
        if path.stat().st_size > _LARGEST_PACK:
            raise TamperingError("The file is larger than a pack may be.", where=str(path))
        return _read_archive(io.BytesIO(path.read_bytes()), str(path))
    except FileNotFoundError as missing:
        raise ConfigurationError(
            "There is no such pack.", where=str(path), cure="check the path."
        ) from missing
    except OSError as refused:
        raise ConfigurationError(
            f"The pack cannot be read: {refused.strerror}.",
            where=str(path),
            cure="name a file that this account may read.",
        ) from refused


def _read_archive(data: io.BytesIO, where: str) -> pack.Files:
    try:
        with zipfile.ZipFile(data) as archive:
            infos = archive.infolist()
            names = [each.filename for each in infos]
            too_large = any(each.file_size > _LARGEST_FILE for each in infos)
            packed = any(each.compress_type != zipfile.ZIP_STORED for each in infos)
            if packed or too_large or sum(each.file_size for each in infos) > _LARGEST_PACK:
                raise TamperingError("The pack unfolds to more than a pack may hold.", where=where)
            if len(set(names)) != len(names):
                raise TamperingError("A file occurs twice in the pack.", where=where)
            return {name: archive.read(name) for name in names}
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError, EOFError) as broken:
        raise TamperingError(f"The pack is not readable: {broken}.", where=where) from broken


def _check_manifest(files: pack.Files, trusted: PublicKey | None) -> PublicKey:
    """Check the seal and that every byte of every file is the one that was sealed."""
    key = _sealer(files, trusted)
    payload = open_envelope(files[pack.MANIFEST], pack.PAYLOAD_TYPE, key)
    with _of_its_form(pack.MANIFEST):
        said = _mapping(canonical.loads(payload))
        predicate = _mapping(said["predicate"])
        sealed = {
            str(name["name"]): str(_mapping(name["digest"])["sha256"])
            for name in map(_mapping, _list(said["subject"]))
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
    with _of_its_form(pack.SEALER):
        named = PublicKey(base64.b64decode(files[pack.SEALER]))
    if trusted is not None and trusted != named:
        raise TamperingError(
            f"The pack is sealed by key {named.id}, not by {trusted.id}.", where=pack.SEALER
        )
    return named


def _check_code(files: pack.Files) -> None:
    """Refuse to recompute with other code than decided."""
    with _of_its_form(pack.CODE):
        sealed = _mapping(canonical.loads(files[pack.CODE]))
        there, version = _mapping(sealed["files"]), sealed["version"]
    here = _mapping(_mapping(canonical.loads(pack.code_digests()))["files"])
    if there != here:
        other = sorted(
            name for name in there.keys() | here.keys() if there.get(name) != here.get(name)
        )
        raise ConfigurationError(
            f"The decision was made by other code than is installed: {other[0]} differs.",
            where=pack.CODE,
            cure=f"install nplusx=={version} and verify again.",
        )


def _keys(files: pack.Files) -> Mapping[str, _Key]:
    """Read the agents' keys, by the id under which records name them."""
    with _of_its_form(pack.KEYS):
        return {
            name: _Key(
                PublicKey(base64.b64decode(str(held["public_key"]))),
                f"/{held['enterprise']}/{held['agent']}/",
                datetime.fromisoformat(str(held["valid_from"])),
                min(
                    datetime.fromisoformat(str(held[name])) if held[name] else _FOR_EVER
                    for name in ("valid_to", "revoked_at")
                ),
            )
            for name, held in (
                (name, _mapping(each))
                for name, each in _mapping(canonical.loads(files[pack.KEYS])).items()
            )
        }


@contextmanager
def _of_its_form(name: str) -> Iterator[None]:
    """Refuse a file of the pack that is missing or is not what a sealer of ours writes."""
    try:
        yield
    except (LookupError, TypeError, ValueError, OSError, ConfigurationError) as broken:
        raise TamperingError("This file is missing or not of its form.", where=name) from broken


def _mapping(value: object) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise TypeError(value)
    return value


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise TypeError(value)
    return value


def _place(record: Mapping[str, object]) -> str:
    return f"{record['topic']}/{record['partition']}/{record['offset']}"


def _received(record: Mapping[str, object]) -> Received:
    headers, body, key, at = (record[n] for n in ("headers", "body", "key", "broker_at"))
    if not isinstance(headers, list) or not isinstance(body, bytes) or not isinstance(at, datetime):
        raise TamperingError("The signed record is not whole.", where=_place(record))
    return Received(
        topic=str(record["topic"]),
        partition=int(str(record["partition"])),
        offset=int(str(record["offset"])),
        broker_at=at,
        key=key if isinstance(key, bytes) else None,
        value=body,
        headers=tuple((each["name"], each["value"]) for each in headers),
    )


def _check_signature(record: Mapping[str, object], keys: Mapping[str, _Key]) -> None:
    received = _received(record)
    envelope = envelopes.read(received)
    named = envelope.get("ce_keyid")
    if record["key_id"] != named:
        raise TamperingError("A record names another key than landing saw.", where=_place(record))
    if not named:
        # The enterprise was allowed to send unsigned; the report counts such records.
        return
    held = keys.get(named)
    if held is None or held.key.id != named:
        raise TamperingError("The key of a record is not in the pack.", where=_place(record))
    if not envelope.is_signed_by(held.key):
        raise TamperingError("The signature of a record does not fit.", where=_place(record))
    if not held.first <= received.broker_at < held.end:
        raise TamperingError("A record was signed with a key out of time.", where=_place(record))
    if envelope.get("ce_bodydigest") != canonical.digest(received.value or b""):
        raise TamperingError("The body of a record is not the signed one.", where=_place(record))
    if not envelope.get("ce_source").startswith(held.source):
        raise TamperingError("A record's source is not its key's.", where=_place(record))


def _contracts(files: pack.Files) -> dict[str, Contract]:
    found: dict[str, Contract] = {}
    for name in sorted(name for name in files if name.startswith("contracts/")):
        with _of_its_form(name):
            contract = loader.parse(files[name].decode(), name)
        # The installed contract is the one whose digest the code's digests vouch for.
        if contract != all_contracts().get(contract.id):
            raise TamperingError("The contract is not the one that decided.", where=name)
        found[contract.id] = contract
    return found


def _table(files: pack.Files, name: str, schema: pa.Schema) -> pa.Table:
    with _of_its_form(name):
        return pq.read_table(io.BytesIO(files[name])).select(schema.names).cast(schema)


def _rows(files: pack.Files, contract: Contract) -> pa.Table:
    return _table(files, pack.rows_name(contract.table), landing_schema(contract))


def _check_rows(contract: Contract, rows: pa.Table, records: list[dict[str, object]]) -> int:
    """Decode the signed bodies anew and compare every packed row with what they hold."""
    for record in records:
        if record["contract"] != contract.id:
            continue
        held = pc.and_(
            pc.equal(rows["_partition"], record["partition"]),
            pc.equal(rows["_offset"], record["offset"]),
        )
        packed = rows.filter(held)
        received = _received(record)
        decoded = _decode(received, contract)
        verdict = gate.judge(decoded.rows, contract, decoded.faults)
        places = packed["_row"].combine_chunks()
        where = f"{contract.table}@{_place(record)}"
        extra = decoded.extra or pa.nulls(verdict.count, pa.string())
        with _of_its_form(where):
            fresh = with_lineage(
                decoded.rows.take(places),
                places,
                _origin(received),
                extra.take(places),
                landing_schema(contract),
            )
        refused = [place for place in places.to_pylist() if place in verdict.refused]
        if refused or fresh != packed:
            raise TamperingError("A packed row is not the one that was signed.", where=where)
    known = {(r["topic"], r["partition"], r["offset"]) for r in records}
    names = ("_topic", "_partition", "_offset")
    for place in zip(*(rows[name].to_pylist() for name in names), strict=True):
        if place not in known:
            raise TamperingError("A row has no signed record.", where="/".join(map(str, place)))
    return int(rows.num_rows)


def _origin(received: Received) -> Origin:
    """Tell where a record's rows come from by its signed headers, not by what the pack says."""
    envelope = envelopes.read(received)
    _, enterprise, _, source = envelope.get("ce_source").split("/")
    return Origin(
        enterprise=enterprise,
        source=source,
        stream=str(envelopes.stream_id(received, envelope)),
        epoch=envelope.get("ce_streamepoch"),
        sequence=envelope.sequence,
        topic=received.topic,
        partition=received.partition,
        offset=received.offset,
        contract_version=envelope.get("ce_contractver"),
        broker_at=received.broker_at,
        digest=canonical.digest(received.value or b""),
    )


def _decode(received: Received, contract: Contract) -> decode.Decoded:
    kind = envelopes.read(received).get("content-type")
    body = received.value or b""
    if kind == envelopes.ARROW_STREAM:
        return decode.decode_arrow(body, contract)
    return decode.decode_json(body, contract, lines=kind == envelopes.NDJSON)


def _recompute(files: pack.Files, contracts: Mapping[str, Contract]) -> Mapping[str, object]:
    """Rebuild the facts from the packed rows, decide again, compare byte by byte."""
    with _of_its_form(pack.DECISION):
        sealed = _mapping(canonical.loads(files[pack.DECISION]))
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
