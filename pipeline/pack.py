"""What an evidence pack holds and how it is written: data only, same bytes for same facts."""

import io
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from contracts.model import Contract
from kernel import canonical
from kernel.evidence import SigningKey, envelope, merkle_root
from kernel.registry import files_in
from pipeline.settings import ROOT

MANIFEST = "manifest.dsse.json"
DECISION = "decision.json"
RECORDS = "records.parquet"
KEYS = "keys.json"
COMMITS = "commits.json"
CODE = "code.json"
SEALER = "sealer.pub"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://nplusx.example/evidence-pack/v1"
# One instant for every file, so that a pack's bytes depend on its facts only.
_STAMP = (1980, 1, 1, 0, 0, 0)
# Whatever takes part in turning signed records into a decision.
_CODE = (
    ("kernel", "*.py"),
    ("contracts", "*.py"),
    ("contracts", "*.odcs.yaml"),
    ("policy", "*.py"),
    ("policy", "*.yaml"),
    ("warehouse", "tables.py"),
    ("warehouse/engines", "duck.py"),
    ("warehouse/core", "*.sql"),
    ("warehouse/mart", "*.sql"),
    ("pipeline", "dossier.py"),
)

Files = dict[str, bytes]


def rows_name(table: str) -> str:
    """Name the file of a landing table's rows."""
    return f"rows/{table}.parquet"


def contract_name(contract: Contract) -> str:
    """Name the file of a contract."""
    return f"contracts/{contract.id}.odcs.yaml"


def parquet(table: pa.Table) -> bytes:
    """Write a table as Parquet."""
    sink = io.BytesIO()
    pq.write_table(table.replace_schema_metadata(None), sink, compression="zstd")
    return sink.getvalue()


def code_files() -> Mapping[str, str]:
    """Name each file that takes part in a decision, with its digest."""
    files: Iterable[Path] = (
        path for folder, pattern in _CODE for path in files_in(ROOT / folder, pattern)
    )
    return {
        path.relative_to(ROOT).as_posix(): canonical.digest(path.read_bytes()) for path in files
    }


def code_digests() -> bytes:
    """Name the version of the distribution and the digests of the code that decides."""
    return canonical.dumps({"version": metadata.version("nplusx"), "files": code_files()})


def root_of(files: Mapping[str, bytes]) -> str:
    """Compute the Merkle root over the names and digests of files."""
    return merkle_root(_leaves(files))


def _leaves(files: Mapping[str, bytes]) -> Sequence[bytes]:
    return [
        canonical.dumps([name, canonical.digest(files[name])])
        for name in sorted(files)
        if name != MANIFEST
    ]


def statement(files: Mapping[str, bytes], about: Mapping[str, object]) -> bytes:
    """Write the in-toto statement: every file by its digest, and the root over them."""
    predicate: dict[str, object] = {**about, "merkle_root": root_of(files)}
    return canonical.dumps(
        {
            "_type": STATEMENT_TYPE,
            "subject": [
                {"name": name, "digest": {"sha256": canonical.digest(files[name])}}
                for name in sorted(files)
            ],
            "predicateType": PREDICATE_TYPE,
            "predicate": predicate,
        }
    )


def write(files: Files, about: Mapping[str, object], key: SigningKey) -> bytes:
    """Seal files in a pack."""
    sealed = dict(files)
    sealed[MANIFEST] = envelope(PAYLOAD_TYPE, statement(files, about), key)
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(sealed):
            archive.writestr(zipfile.ZipInfo(name, _STAMP), sealed[name])
    return sink.getvalue()
