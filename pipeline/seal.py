"""Seal: a decision and all its inputs in a pack that anybody recomputes, chained in the ledger."""

import base64
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from contracts.loader import all_contracts
from contracts.model import Contract
from contracts.schema import landing_schema
from kernel import canonical, clock
from kernel.errors import ChecksFailedError, NplusxError, TamperingError, as_one
from kernel.log import logger
from pipeline import dossier as dossiers
from pipeline import pack, parties, promises, wiring
from pipeline.assess import decisions
from pipeline.dossier import Place
from pipeline.settings import Settings, read_settings
from pipeline.verify import verify
from warehouse import attempts, ledger, words
from warehouse.store import ConflictError, TableStore
from warehouse.tables import Source

Row = Mapping[str, object]

# All versions of the objects that a decision rests on, found by the places of their rows.
_VERSIONS = """
select {columns}
from landed
semi join (
    select distinct _enterprise, _source, {key}
    from landed
    inner join places using (_topic, _partition, _offset, _row)
) as wanted using (_enterprise, _source, {key})
order by _topic, _partition, _offset, _row
"""


def seal(settings: Settings | None = None) -> dict[str, object]:
    """Pack and chain every decision that counts, is not sealed yet and is not held."""
    settings = settings or read_settings()
    store = wiring.store(settings)
    done = _sealed(store)
    sealed: list[str] = []
    failed: dict[str, NplusxError] = {}
    # A promise may have broken since the decision.
    held: dict[str, str] = {}
    promises.look(settings, dossiers.contracts())
    broken = promises.holding(store, dossiers.contracts())
    for row in decisions(store):
        if row["decision_digest"] in done:
            continue
        claim = str(row["claim_id"])
        about = {**row, "enterprise_uscc": row["enterprise"]}
        if why := [each for each in broken if promises.concerns(each, about)]:
            held[claim] = " ".join(map(promises.worded, why))
            continue
        try:
            _seal(settings, store, row)
            sealed.append(claim)
        except (ChecksFailedError, TamperingError) as wrong:
            # One claim whose evidence does not hold must not keep the others waiting.
            failed[claim] = wrong
            _note(store, str(row["decision_digest"]), wrong.what)
    logger("seal").info("sealed", packs=len(sealed), failed=len(failed), held=len(held))
    if failed:
        raise as_one(failed)
    return {"sealed": sealed, "held": held}


def pack_path(settings: Settings, row: Row) -> Path:
    """Name the file of a decision's pack."""
    name = f"{row['claim_id']}-{str(row['decision_digest'])[:16]}.zip"
    return settings.state_dir / "packs" / name


def _sealed(store: TableStore) -> set[object]:
    return {entry["decision_digest"] for entry in ledger.entries(store)}


def _note(store: TableStore, decision: str, what: str) -> None:
    """Keep it on record that evidence does not hold, once for each reason."""
    now = clock.now()
    known = words.newest(store, words.OF_EVIDENCE, now).get(decision)
    if known is None or known["why"] != what:
        word = words.Word("seal", what, now)
        words.tell(store, words.OF_EVIDENCE, [(decision, words.FAILED)], word)


def _seal(settings: Settings, store: TableStore, row: Row) -> None:
    key = wiring.county_key(settings)
    files = gather(settings, store, row)
    about = {"claim_id": row["claim_id"], "decision_digest": row["decision_digest"]}
    sealed = pack.write(files, about, key)
    path = pack_path(settings, row)
    path.parent.mkdir(parents=True, exist_ok=True)
    # The pack first and whole, then the ledger: an entry always has its pack.
    unfinished = path.with_suffix(f".{os.getpid()}")
    try:
        unfinished.write_bytes(sealed)
        # Nothing is chained that an auditor would have to refuse.
        verify(unfinished, key.public)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    entry = ledger.Sealed(
        str(row["claim_id"]),
        str(row["decision_digest"]),
        canonical.digest(sealed),
        pack.root_of(files),
        clock.now(),
    )
    while row["decision_digest"] not in _sealed(store):
        with suppress(ConflictError):
            ledger.append(store, entry, key)


def gather(settings: Settings, store: TableStore, row: Row) -> pack.Files:
    """Collect what the decision rests on: rows, signed records, keys, contracts, commits."""
    pinned, contracts = landing_of(row), all_contracts().values()
    landing = {each.table: _pinned(store, each, pinned) for each in contracts}
    marts = dossiers.marts(wiring.engine(), landing)
    places = dossiers.places(dossiers.build(str(row["claim_id"]), marts))
    rows = {
        each.id: found
        for each in contracts
        if (found := _versions(landing[each.table], each, places)).num_rows
    }
    standing = {str(contract): _records_of(found) for contract, found in rows.items()}
    records = attempts.records_at(store, standing, pack.RECORD_SCHEMA)
    used = {name: set(records[name].to_pylist()) for name in ("key_id", "enterprise")}
    decision = row["decision"]
    files: pack.Files = {
        pack.DECISION: decision if isinstance(decision, bytes) else b"",
        pack.RECORDS: pack.parquet(records),
        pack.KEYS: parties.keys_text(
            key for name, key in wiring.keys(settings).items() if name in used["key_id"]
        ),
        pack.ENTERPRISES: parties.enterprises_text(
            known
            for uscc, known in wiring.enterprises(settings).items()
            if uscc in used["enterprise"]
        ),
        pack.HELD: _held(store, records),
        pack.COMMITS: _commits(store, records),
        pack.CODE: pack.code_digests(),
        pack.SEALER: base64.b64encode(wiring.county_key(settings).public.raw),
    }
    for contract_id, found in rows.items():
        contract = all_contracts()[contract_id]
        files[pack.rows_name(contract.table)] = pack.parquet(found)
        files[pack.contract_name(contract)] = contract.text.encode()
    return files


def landing_of(row: Row) -> Mapping[str, int]:
    """Read the landing versions that a decision rests on."""
    versions = canonical.loads(str(row["versions"]))
    return {str(k): int(v) for k, v in versions.items()} if isinstance(versions, dict) else {}


def _pinned(store: TableStore, contract: Contract, pinned: Mapping[str, int]) -> Source:
    """Open a landing table as it was when the decision was made; a query reads what it needs."""
    if contract.table not in pinned:
        return landing_schema(contract).empty_table()
    return store.open(contract.table, pinned[contract.table]).dataset()


def _versions(landed: Source, contract: Contract, places: Iterable[Place]) -> pa.Table:
    """Take all versions of the objects whose rows stand at these places."""
    found = [place for place in places if place.table == contract.table]
    if not found:
        return landing_schema(contract).empty_table()
    wanted = pa.table(
        {
            "_topic": pa.array([place.topic for place in found], pa.string()),
            "_partition": pa.array([place.partition for place in found], pa.int32()),
            "_offset": pa.array([place.offset for place in found], pa.int64()),
            "_row": pa.array([place.row for place in found], pa.int32()),
        }
    )
    schema = landing_schema(contract)
    query = _VERSIONS.format(columns=", ".join(schema.names), key=", ".join(contract.key))
    return wiring.engine().run(query, {"landed": landed, "places": wanted}).cast(schema)


def _records_of(rows: pa.Table, prefix: str = "_") -> Iterable[tuple[str, int, int]]:
    names = (f"{prefix}{name}" for name in ("topic", "partition", "offset"))
    return zip(*(rows[name].to_pylist() for name in names), strict=True)


def _held(store: TableStore, records: pa.Table) -> bytes:
    """Name the rows of the records that are in quarantine, with the word of who waived them."""
    partly = records.filter(pc.field("quarantined") > 0)
    places: dict[str, list[tuple[str, int, int]]] = {}
    for contract, place in zip(
        partly["contract"].to_pylist(), _records_of(partly, ""), strict=True
    ):
        places.setdefault(contract, []).append(place)
    where = attempts.at_places(places)
    waiting = [] if where is None else attempts.waiting(store, clock.now(), where)
    named = ("topic", "partition", "offset", "row")
    found = [
        {
            **{name: each[name] for name in named},
            "waiver": each["word"] if each["state"] == words.WAIVED else None,
        }
        for each in waiting
    ]
    return canonical.dumps(sorted(found, key=lambda each: [each[name] for name in named]))


def _commits(store: TableStore, records: pa.Table) -> bytes:
    """Take the commits that landed the rows of the records."""
    found: list[dict[str, object]] = []
    for contract_id in sorted(set(records["contract"].to_pylist())):
        table = all_contracts()[contract_id].table
        commit_of = attempts.landed_by(store.open(table).commits())
        mine = records.filter(pc.field("contract") == contract_id)
        counted = zip(_records_of(mine, ""), mine["rows"].to_pylist(), strict=True)
        made = [commit_of(*place, row) for place, rows in counted for row in range(rows)]
        facts = {each.version: each.facts for each in made if each is not None}
        found += [
            {"table": table, "version": version, "facts": said}
            for version, said in sorted(facts.items())
        ]
    return canonical.dumps(found)
