"""The one door to Delta Lake."""

import json
import re
import secrets
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import lru_cache, reduce
from operator import and_
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake import Schema as DeltaSchema
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from deltalake.transaction import AddAction, RemoveAction
from pyarrow import fs
from typing_extensions import override

from kernel import canonical, clock
from kernel.errors import ConfigurationError, DependencyUnavailableError
from warehouse.data_files import DataFile, write_files
from warehouse.store import Commit, ConflictError, Facts, Files, TableHandle, TableStore

# The columns that place a file, with the value of each.
_Partition = tuple[tuple[str, object], ...]
_PARTITION = "partition."
_FACTS = "nplusx"
_REPLACED = "replaced"
_FENCE = "nplusx.fence"
_COMMIT = re.compile(r"(\d{20})\.json$")
_CHECKPOINT = re.compile(r"(\d{20})\.checkpoint\..*parquet$")
# So many commits are read one by one when a table is opened, before a checkpoint saves that.
_CHECKPOINT_AFTER = 10
# Commit facts are evidence. Delta removes them after a time that it tells by the dates of files,
# and a restored folder may bear any dates: it must remove none.
_TABLE_PROPERTIES = {
    "delta.logRetentionDuration": "interval 3650 days",
    "delta.enableExpiredLogCleanup": "false",
    # To open a table is to read each commit since the last checkpoint, and each step opens three.
    "delta.checkpointInterval": "20",
}


class DeltaHandle(TableHandle):
    """A Delta table at the version at which it was opened."""

    def __init__(self, table: DeltaTable) -> None:
        self._table = table

    @property
    @override
    def version(self) -> int:
        return int(self._table.version())

    @property
    @override
    def made_at(self) -> datetime:
        log = self._log(_COMMIT)
        return _when(_said(self._table.table_uri, log[min(log)]))

    @override
    def mark(self, name: str) -> int | None:
        found: int | None = self._table.transaction_version(name)
        return found

    @override
    def append(self, rows: pa.Table, marks: Mapping[str, int], facts: Facts) -> None:
        system, folder = _place(self._table.table_uri)
        with self._writing():
            parts = self._table.metadata().partition_columns
            self._must_fit(rows)
            self._table.create_write_transaction(
                [_added(each) for each in write_files(system, folder, rows, parts)],
                "append",
                self._table.schema(),
                parts,
                commit_properties=_properties(marks, facts),
            )

    @override
    def replace(self, rows: pa.Table, facts: Facts) -> int:
        # An overwrite of a table without files conflicts with nothing; its number does.
        number = (self.mark(_REPLACED) or 0) + 1
        with self._writing():
            # Through the handle, not the address: an address would be read anew.
            write_deltalake(
                self._table,
                rows,
                mode="overwrite",
                schema_mode="overwrite",
                commit_properties=_properties({_REPLACED: number}, facts),
            )
        return self.version

    def _must_fit(self, rows: pa.Table) -> None:
        """Refuse rows of other columns than the table's: nobody else compares the two."""
        plain = [
            field.with_type(field.type.value_type) if pa.types.is_dictionary(field.type) else field
            for field in rows.schema
        ]
        mine, theirs = (
            {(field.name, str(field.type)) for field in schema.fields}
            for schema in (self._table.schema(), DeltaSchema.from_arrow(pa.schema(plain)))
        )
        if odd := mine ^ theirs:
            named = ", ".join(sorted({name for name, _ in odd}))
            raise DeltaError(f"the table and the rows differ in {named}")

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except CommitFailedError as conflict:
            raise ConflictError(str(conflict)) from conflict
        except (OSError, DeltaError) as failed:
            raise _refused("The table could not be written", failed, self._table.table_uri) from (
                failed
            )

    @override
    def dataset(self) -> ds.Dataset:
        # By Arrow's own file system: delta-rs's is a Python object, and the scanning thread that
        # lets go of it last aborts the process when Python is just shutting down. And by the
        # partitions alone: of the edges that it tells of a file's columns some are of types that
        # Arrow does not compare, and where it tells some columns' only it leaves files out.
        system, folder = _place(self._table.table_uri)
        schema = pa.schema(self._table.schema().to_arrow())
        form = ds.ParquetFileFormat(
            default_fragment_scan_options=ds.ParquetFragmentScanOptions(pre_buffer=True)
        )
        root = fs.SubTreeFileSystem(folder, system)
        files = [
            form.make_fragment(path, root, partition_expression=_is_in(partition))
            for path, _, partition in self._files()
        ]
        return ds.FileSystemDataset(files, schema, form, root)

    @override
    def commits(self) -> Sequence[Commit]:
        # delta-rs's own history numbers commits wrongly on a handle that is not the newest, so
        # the log is read by the protocol: a commit's file is named by its version.
        found = (
            _commit(self._table.table_uri, version, path)
            for version, path in sorted(self._log(_COMMIT).items())
            if version <= self.version
        )
        return tuple(each for each in found if each is not None)

    def _log(self, pattern: re.Pattern[str]) -> dict[int, str]:
        """List files of the log by the version that names them."""
        system, log = _place(f"{self._table.table_uri.rstrip('/')}/_delta_log")
        names = [each.path for each in system.get_file_info(fs.FileSelector(log))]
        return {int(m[1]): path for path in names if (m := pattern.search(path))}

    @override
    def files(self) -> Files:
        sizes = [size for _, size, _ in self._files()]
        return Files(len(sizes), sum(sizes))

    def _files(self) -> list[tuple[str, int, _Partition]]:
        """List the path, the size and the partition of each file."""
        added = pa.table(self._table.get_add_actions(flatten=True))
        parts = [name for name in added.column_names if name.startswith(_PARTITION)]
        names = [name.removeprefix(_PARTITION) for name in parts]
        return [
            (unquote(each["path"]), each["size_bytes"], tuple(zip(names, values, strict=True)))
            for each in added.select(["path", "size_bytes", *parts]).to_pylist()
            for values in [[each[name] for name in parts]]
        ]

    @override
    def compact(self, target_bytes: int) -> bool:
        small = Counter(part for _, size, part in self._files() if size < target_bytes // 2)
        if max(small.values(), default=0) <= 1:
            return False
        with self._writing():
            self._fenced().optimize.compact(target_size=target_bytes)
        return True

    @override
    def clear(self, column: str, values: Sequence[str], facts: Facts) -> int:
        listed = ", ".join("'" + each.replace("'", "''") + "'" for each in values)
        with self._writing():
            done = self._fenced().delete(
                f"{column} in ({listed})",
                commit_properties=CommitProperties(custom_metadata={_FACTS: dict(facts)}),
            )
        return int(done["num_deleted_rows"])

    @override
    def fence(self) -> None:
        with self._writing():
            self._fenced()

    def _fenced(self) -> DeltaTable:
        """Give a handle of its own after a change that stops whoever opened the table before.

        delta-rs lets two compactions of the same files through, and then every row is there twice;
        a changed property is the one thing that it holds against every commit.
        """
        token = secrets.token_hex(8)
        self._table.alter.set_table_properties(
            {**_TABLE_PROPERTIES, _FENCE: token}, raise_if_not_exists=False
        )
        if self._table.metadata().configuration.get(_FENCE) != token:
            raise ConflictError("another fence was set in the same moment")
        return self._table

    @override
    def sweep(self, retention: timedelta, keep: Sequence[int]) -> int:
        hours = int(retention / timedelta(hours=1))
        with self._writing():
            # It lists files that an earlier sweep removed too, and writes two commits each time.
            listed = self._vacuum(hours, keep, dry_run=True)
            system, folder = _place(self._table.table_uri)
            found = system.get_file_info([f"{folder}/{path}" for path in listed])
            there = len([each for each in found if each.type == fs.FileType.File])
            if there:
                self._vacuum(hours, keep, dry_run=False)
        return there

    def _vacuum(self, hours: int, keep: Sequence[int], *, dry_run: bool) -> list[str]:
        listed: list[str] = self._table.vacuum(
            hours,
            dry_run=dry_run,
            enforce_retention_duration=False,
            full=True,
            keep_versions=list(keep) or None,
        )
        return listed

    @override
    def checkpoint(self) -> bool:
        if self.version - max(self._log(_CHECKPOINT), default=0) < _CHECKPOINT_AFTER:
            return False
        with self._writing():
            self._table.create_checkpoint()
        return True


def _is_in(partition: _Partition) -> pc.Expression:
    """Say of a file what holds of all its rows."""
    held = [
        pc.field(name).is_null() if value is None else pc.field(name) == value
        for name, value in partition
    ]
    return reduce(and_, held, pc.scalar(value=True))


def _added(file: DataFile) -> AddAction | RemoveAction:
    """Tell the log of a file.

    No edges of columns: where it is told some and not all, delta-rs leaves the file out of any
    question about the others. The file's own footer tells them.
    """
    told = canonical.dumps({"numRecords": file.rows}).decode()
    now = int(clock.now().timestamp() * 1000)
    return AddAction(file.path, file.size, file.values, now, data_change=True, stats=told)


def _properties(marks: Mapping[str, int], facts: Facts) -> CommitProperties:
    return CommitProperties(
        app_transactions=[Transaction(name, number) for name, number in sorted(marks.items())],
        custom_metadata={_FACTS: dict(facts)},
    )


@lru_cache(maxsize=100_000)
def _commit(table_uri: str, version: int, path: str) -> Commit | None:
    """Read what was said with a commit; a commit never changes, so it is read once."""
    info = _said(table_uri, path)
    said = info.get(_FACTS)
    if not isinstance(said, dict):
        return None
    return Commit(version, said, _when(info))


def _when(info: Mapping[str, object]) -> datetime:
    return datetime.fromtimestamp(int(str(info["timestamp"])) / 1000, UTC)


def _said(table_uri: str, path: str) -> Mapping[str, object]:
    """Read the information that a commit carries about itself."""
    system, _ = fs.FileSystem.from_uri(table_uri)
    with system.open_input_stream(path) as log:
        lines = log.read().splitlines()
    found = (json.loads(line).get("commitInfo") for line in lines)
    return next((info for info in found if info), {})


class DeltaStore(TableStore):
    """Delta tables in one folder or bucket."""

    def __init__(self, uri: str) -> None:
        self._uri = uri.rstrip("/")

    @override
    def names(self) -> tuple[str, ...]:
        system, folder = _place(self._uri)
        try:
            found = system.get_file_info(fs.FileSelector(folder, allow_not_found=True))
        except OSError as failed:
            raise _refused("The tables could not be listed", failed, self._uri) from failed
        return tuple(sorted(each.base_name for each in found if self.exists(each.base_name)))

    @override
    def exists(self, name: str) -> bool:
        if DeltaTable.is_deltatable(self._place(name)):
            return True
        # It says so too of a place that it may not look at, which must not pass for empty.
        system, folder = _place(self._place(name))
        try:
            system.get_file_info(folder)
        except OSError as failed:
            raise _refused("The table could not be looked for", failed, folder) from failed
        return False

    @override
    def create(self, name: str, schema: pa.Schema, partition_by: Sequence[str] = ()) -> None:
        try:
            DeltaTable.create(
                self._place(name),
                schema=schema,
                mode="ignore",
                partition_by=list(partition_by),
                configuration=_TABLE_PROPERTIES,
            )
        except CommitFailedError:
            # Another process made it in the same moment: that is what was wanted.
            pass
        except (OSError, DeltaError) as failed:
            raise _refused("The table could not be made", failed, self._place(name)) from failed
        self._widen(name, schema)

    def _widen(self, name: str, schema: pa.Schema) -> None:
        """Add the columns that a table of an earlier version lacks."""
        table = DeltaTable(self._place(name))
        there = pa.schema(table.schema().to_arrow())
        missing = [field for field in schema if field.name not in there.names]
        if not missing:
            return
        try:
            table.alter.add_columns(list(DeltaSchema.from_arrow(pa.schema(missing)).fields))
        except CommitFailedError:
            # Another process added them, or wrote: look again.
            self._widen(name, schema)
        except (OSError, DeltaError) as failed:
            raise _refused("The table could not be widened", failed, self._place(name)) from failed

    @override
    def open(self, name: str, version: int | None = None) -> TableHandle:
        try:
            return DeltaHandle(DeltaTable(self._place(name), version=version))
        except TableNotFoundError as missing:
            raise ConfigurationError(
                f"There is no table {name}.",
                where=self._uri,
                cure="run the stage that writes it first.",
            ) from missing
        except (OSError, DeltaError) as failed:
            raise _refused("The table could not be opened", failed, self._place(name)) from failed

    def _place(self, name: str) -> str:
        return f"{self._uri}/{name}"


def _place(uri: str) -> tuple[fs.FileSystem, str]:
    """Give Arrow's own file system of an address, and the path on it."""
    try:
        system, path = fs.FileSystem.from_uri(uri if "://" in uri else str(Path(uri).absolute()))
    except pa.ArrowInvalid as unknown:
        raise ConfigurationError(
            f"Tables cannot be kept there: {unknown}.",
            where=uri,
            cure="set NPLUSX_LAKE_URI to a folder or to s3://bucket/…, or unset it.",
        ) from unknown
    except OSError as silent:
        raise _refused("The place of the tables does not answer", silent, uri) from silent
    return system, path


def _refused(what: str, failed: Exception, where: str) -> DependencyUnavailableError:
    return DependencyUnavailableError(
        f"{what}: {failed}.",
        where=where,
        cure="free space, mend the permission of that place or correct NPLUSX_LAKE_URI, and run "
        "again; nothing that was landed is lost.",
    )
