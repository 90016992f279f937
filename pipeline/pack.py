"""What an evidence pack holds, written and read: data only, same bytes for same facts."""

import io
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from contracts.decode import UndecodableError
from contracts.model import Contract
from kernel import canonical
from kernel.errors import ConfigurationError, TamperingError
from kernel.evidence import SigningKey, envelope, merkle_root
from kernel.registry import files_in
from pipeline.settings import ROOT
from warehouse import landing

MANIFEST = "manifest.dsse.json"
DECISION = "decision.json"
RECORDS = "records.parquet"
KEYS = "keys.json"
ENTERPRISES = "enterprises.json"
HELD = "quarantine.json"
COMMITS = "commits.json"
CODE = "code.json"
SEALER = "sealer.pub"
FILES = (MANIFEST, DECISION, RECORDS, KEYS, ENTERPRISES, HELD, COMMITS, CODE, SEALER)
PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://nplusx.example/evidence-pack/v1"
LARGEST_FILE = 1 << 30
_LARGEST_PACK = 4 << 30
# One instant for every file, so that a pack's bytes depend on its facts only.
_STAMP = (1980, 1, 1, 0, 0, 0)
# Whatever takes part in turning signed records into a decision.
_CODE = (
    ("kernel", "*.py"),
    ("bus", "envelope.py"),
    ("bus", "ports.py"),
    ("bus", "topics.py"),
    ("contracts", "*.py"),
    ("contracts", "*.odcs.yaml"),
    ("policy", "*.py"),
    ("policy", "*.yaml"),
    ("registry", "keys.py"),
    ("registry", "kinds.py"),
    ("warehouse", "landing.py"),
    ("warehouse", "tables.py"),
    ("warehouse/engines", "duck.py"),
    ("warehouse/core", "*.sql"),
    ("warehouse/mart", "*.sql"),
    ("pipeline", "admission.py"),
    ("pipeline", "opening.py"),
    ("pipeline", "dossier.py"),
)

# The records are those of the table, without the attempt under which they were written.
RECORD_SCHEMA = pa.schema([each for each in landing.RECORD_SCHEMA if each.name != "attempt"])
Files = dict[str, bytes]
# What libraries raise on bytes of another form.
_FORMLESS = (
    ArithmeticError,
    LookupError,
    OSError,
    RecursionError,
    TypeError,
    UndecodableError,
    ValueError,
    pa.ArrowException,
)


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
    return archive({**files, MANIFEST: envelope(PAYLOAD_TYPE, statement(files, about), key)})


def archive(files: Mapping[str, bytes]) -> bytes:
    """Write files as one, without compression: same files, same bytes."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as written:
        for name in sorted(files):
            written.writestr(zipfile.ZipInfo(name, _STAMP), files[name])
    return sink.getvalue()


def read(path: Path) -> Files:
    """Read the files of a pack; nothing is unfolded that a pack cannot hold."""
    try:
        # A device or a pipe could be read for ever.
        if path.exists() and not path.is_file():
            raise ConfigurationError(
                "This is not a file.", where=str(path), cure="name the pack itself, a .zip file."
            )
        if path.stat().st_size > _LARGEST_PACK:
            raise TamperingError("The file is larger than a pack may be.", where=str(path))
        return from_archive(io.BytesIO(path.read_bytes()), str(path))
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


def from_archive(data: io.BytesIO, where: str) -> Files:
    """Read the files of a pack from its bytes."""
    try:
        with zipfile.ZipFile(data) as held:
            infos = held.infolist()
            names = [each.filename for each in infos]
            too_large = any(each.file_size > LARGEST_FILE for each in infos)
            packed = any(each.compress_type != zipfile.ZIP_STORED for each in infos)
            if packed or too_large or sum(each.file_size for each in infos) > _LARGEST_PACK:
                raise TamperingError("The pack unfolds to more than a pack may hold.", where=where)
            if len(set(names)) != len(names):
                raise TamperingError("A file occurs twice in the pack.", where=where)
            return {name: held.read(name) for name in names}
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError, EOFError) as broken:
        raise TamperingError(f"The pack is not readable: {broken}.", where=where) from broken


@contextmanager
def of_its_form(name: str) -> Iterator[None]:
    """Refuse a file of the pack that is missing or is not what a sealer of ours writes."""
    try:
        yield
    except _FORMLESS as broken:
        raise TamperingError("This file is missing or not of its form.", where=name) from broken


def mapping(value: object) -> Mapping[str, object]:
    """Take a JSON value as an object."""
    if not isinstance(value, dict):
        raise TypeError(value)
    return value


def listing(value: object) -> list[object]:
    """Take a JSON value as an array."""
    if not isinstance(value, list):
        raise TypeError(value)
    return value
