"""Append-only, hash-chained record of every sealed decision."""

import base64
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from contracts.schema import INSTANT
from kernel import canonical
from kernel.errors import TamperingError
from kernel.evidence import PublicKey, SigningKey
from warehouse.store import TableStore

TABLE = "ledger"
SCHEMA = pa.schema(
    [
        ("number", pa.int64()),
        ("claim_id", pa.string()),
        ("decision_digest", pa.string()),
        ("pack_digest", pa.string()),
        ("merkle_root", pa.string()),
        ("sealed_at", INSTANT),
        ("previous", pa.string()),
        ("entry", pa.string()),
        ("key_id", pa.string()),
        ("signature", pa.string()),
    ]
)
_FIRST = "0" * 64
_MARK = "ledger"


@dataclass(frozen=True, slots=True)
class Sealed:
    """What one entry says."""

    claim_id: str
    decision_digest: str
    pack_digest: str
    merkle_root: str
    sealed_at: datetime


def entries(store: TableStore) -> list[dict[str, object]]:
    """List the entries in their order."""
    if not store.exists(TABLE):
        return []
    found: list[dict[str, object]] = store.open(TABLE).dataset().to_table().to_pylist()
    return sorted(found, key=lambda row: int(str(row["number"])))


def sealers(store: TableStore) -> list[str]:
    """Name the keys that entries say they are sealed by."""
    return sorted({str(row["key_id"]) for row in entries(store)})


def append(store: TableStore, sealed: Sealed, key: SigningKey) -> int:
    """Chain an entry to the last; of two writers one gets ConflictError and must look again."""
    store.create(TABLE, SCHEMA)
    handle = store.open(TABLE)
    number = (handle.mark(_MARK) or 0) + 1
    known = entries(store)
    previous = str(known[-1]["entry"]) if known else _FIRST
    entry = _digest(number, sealed, previous)
    row = {
        "number": number,
        "claim_id": sealed.claim_id,
        "decision_digest": sealed.decision_digest,
        "pack_digest": sealed.pack_digest,
        "merkle_root": sealed.merkle_root,
        "sealed_at": sealed.sealed_at,
        "previous": previous,
        "entry": entry,
        "key_id": key.public.id,
        "signature": base64.b64encode(key.sign(entry.encode())).decode(),
    }
    handle.append(pa.Table.from_pylist([row], schema=SCHEMA), {_MARK: number}, {"entry": entry})
    return number


def check(store: TableStore, key: PublicKey) -> int:
    """Walk the chain; the first entry that does not fit is named."""
    previous = _FIRST
    known = entries(store)
    sealed = store.open(TABLE).mark(_MARK) or 0
    if sealed != len(known):
        raise TamperingError(f"The ledger holds {len(known)} entries; {sealed} were sealed.")
    for place, row in enumerate(known, start=1):
        sealed_at = row["sealed_at"]
        if not isinstance(sealed_at, datetime):
            raise TypeError(sealed_at)
        said = Sealed(
            str(row["claim_id"]),
            str(row["decision_digest"]),
            str(row["pack_digest"]),
            str(row["merkle_root"]),
            sealed_at,
        )
        entry = _digest(place, said, previous)
        signature = base64.b64decode(str(row["signature"]))
        if row["entry"] != entry or not key.verifies(signature, entry.encode()):
            raise TamperingError(f"Entry {place} of the ledger is not what was sealed.")
        previous = entry
    return len(known)


def _digest(number: int, sealed: Sealed, previous: str) -> str:
    return canonical.digest_of(
        [
            number,
            sealed.claim_id,
            sealed.decision_digest,
            sealed.pack_digest,
            sealed.merkle_root,
            sealed.sealed_at.isoformat(),
            previous,
        ]
    )
