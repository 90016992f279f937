"""Seal: a decision and all its inputs in a pack that anybody recomputes, chained in the ledger."""

import base64
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from contracts.loader import all_contracts
from contracts.model import Contract
from contracts.schema import landing_schema
from kernel import canonical, clock
from kernel.ids import ContractId
from kernel.log import logger
from pipeline import dossier as dossiers
from pipeline import pack, wiring
from pipeline.assess import decisions
from pipeline.settings import Settings, read_settings
from policy.verification.dossier import Dossier
from warehouse import attempts, ledger
from warehouse.landing import RECORD_SCHEMA, RECORDS
from warehouse.store import ConflictError, Facts, TableStore

Row = Mapping[str, object]

# All versions of the objects that a decision rests on, found by the places of their rows.
_VERSIONS = """
select landed.*
from landed
semi join (
    select distinct _enterprise, _source, {key}
    from landed
    inner join places using (_topic, _partition, _offset, _row)
) as wanted using (_enterprise, _source, {key})
order by landed._topic, landed._partition, landed._offset, landed._row
"""


def seal(settings: Settings | None = None) -> dict[str, object]:
    """Pack and chain every decision that counts and is not sealed yet."""
    settings = settings or read_settings()
    store = wiring.store(settings)
    sealed = [
        str(row["claim_id"])
        for row in decisions(store)
        if row["decision_digest"] not in _sealed(store)
    ]
    for row in decisions(store):
        if row["claim_id"] in sealed:
            _seal(settings, store, row)
    logger("seal").info("sealed", packs=len(sealed))
    return {"sealed": sealed}


def pack_path(settings: Settings, row: Row) -> Path:
    """Name the file of a decision's pack."""
    name = f"{row['claim_id']}-{str(row['decision_digest'])[:16]}.zip"
    return settings.state_dir / "packs" / name


def _sealed(store: TableStore) -> set[object]:
    return {entry["decision_digest"] for entry in ledger.entries(store)}


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
    pinned = landing_of(row)
    engine = wiring.engine()
    dossier = dossiers.build(
        str(row["claim_id"]),
        dossiers.marts(
            engine,
            {each.table: pinned_rows(store, each, pinned) for each in all_contracts().values()},
        ),
    )
    places = _places(dossier)
    rows = {
        contract.id: found
        for contract in all_contracts().values()
        if (found := _versions(pinned_rows(store, contract, pinned), contract, places)).num_rows
    }
    records = _records(store, rows.values())
    decision = row["decision"]
    files: pack.Files = {
        pack.DECISION: decision if isinstance(decision, bytes) else b"",
        pack.RECORDS: pack.parquet(records),
        pack.KEYS: _keys(settings, records),
        pack.COMMITS: _commits(store, rows),
        pack.CODE: pack.code_digests(),
        pack.SEALER: base64.b64encode(wiring.county_key(settings).public.raw),
    }
    for contract_id, found in rows.items():
        contract = all_contracts()[contract_id]
        files[pack.rows_name(contract.table)] = pack.parquet(found)
        files[pack.contract_name(contract)] = contract.text.encode()
    return files


def _places(dossier: Dossier) -> pa.Table:
    """List where the rows behind the facts stand on the bus."""
    origins: set[str] = set()

    def walk(value: object) -> None:
        if isinstance(value, dict):
            if isinstance(origin := value.get("origin"), str):
                origins.add(origin)
            for each in value.values():
                walk(each)
        elif isinstance(value, list | tuple):
            for each in value:
                walk(each)

    walk(asdict(dossier))
    split = [origin.split("@", 1)[1].rsplit("/", 3) for origin in sorted(origins)]
    return pa.table(
        {
            "_topic": pa.array([topic for topic, _, _, _ in split], pa.string()),
            "_partition": pa.array([int(part) for _, part, _, _ in split], pa.int32()),
            "_offset": pa.array([int(offset) for _, _, offset, _ in split], pa.int64()),
            "_row": pa.array([int(row) for _, _, _, row in split], pa.int32()),
        }
    )


def landing_of(row: Row) -> Mapping[str, int]:
    """Read the landing versions that a decision rests on."""
    versions = canonical.loads(str(row["versions"]))
    return {str(k): int(v) for k, v in versions.items()} if isinstance(versions, dict) else {}


def pinned_rows(store: TableStore, contract: Contract, pinned: Mapping[str, int]) -> pa.Table:
    """Read a landing table as it was when the decision was made."""
    if contract.table not in pinned:
        return landing_schema(contract).empty_table()
    landed = store.open(contract.table, pinned[contract.table]).dataset().to_table()
    return landed.select(landing_schema(contract).names)


def _versions(landed: pa.Table, contract: Contract, places: pa.Table) -> pa.Table:
    query = _VERSIONS.format(key=", ".join(contract.key))
    found = wiring.engine().run(query, {"landed": landed, "places": places})
    return found.cast(landing_schema(contract))


def _records(store: TableStore, tables: Iterable[pa.Table]) -> pa.Table:
    """Take the signed records that the rows came in."""
    wanted = {
        place
        for rows in tables
        for place in zip(
            *(rows[name].to_pylist() for name in ("_topic", "_partition", "_offset")), strict=True
        )
    }
    topics = pa.array(sorted({topic for topic, _, _ in wanted}), pa.string())
    records = attempts.visible(store, RECORDS, RECORD_SCHEMA)
    records = records.filter(pc.is_in(records["topic"], value_set=topics))
    kept = [
        place in wanted
        for place in zip(
            *(records[name].to_pylist() for name in ("topic", "partition", "offset")), strict=True
        )
    ]
    chosen = records.filter(pa.array(kept, pa.bool_())).drop_columns(["attempt"])
    return chosen.sort_by([(name, "ascending") for name in ("topic", "partition", "offset")])


def _keys(settings: Settings, records: pa.Table) -> bytes:
    used = set(records["key_id"].to_pylist())
    return canonical.dumps(
        {
            registered.key.id: {
                "public_key": base64.b64encode(registered.key.raw).decode(),
                "agent": registered.agent,
                "enterprise": registered.enterprise,
                "valid_from": registered.valid_from,
                "valid_to": registered.valid_to,
                "revoked_at": registered.revoked_at,
            }
            for registered in wiring.keys(settings).values()
            if registered.key.id in used
        }
    )


def _commits(store: TableStore, rows: Mapping[ContractId, pa.Table]) -> bytes:
    """Take the commits that landed the rows, found by their offsets."""
    found: list[dict[str, object]] = []
    for contract_id, landed in rows.items():
        table = all_contracts()[contract_id].table
        places = set(zip(*(landed[n].to_pylist() for n in ("_partition", "_offset")), strict=True))
        found += [
            {"table": table, "version": commit.version, "facts": commit.facts}
            for commit in store.open(table).commits()
            if any(commit_covers(commit.facts, *place) for place in places)
        ]
    return canonical.dumps(found)


def commit_covers(facts: Facts, partition: int, offset: int) -> bool:
    """Tell whether a landing commit took in a place on the bus."""
    offsets = facts.get("offsets")
    span = offsets.get(str(partition)) if isinstance(offsets, dict) else None
    return span is not None and int(span[0]) <= offset < int(span[1])
