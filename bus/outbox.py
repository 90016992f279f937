"""Store and forward at the edge: cursor and sealed records in one local transaction."""

import secrets
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bus.envelope import Batch, seal, signed_by
from bus.ports import Headers, Record
from kernel import canonical, clock
from kernel.errors import ConfigurationError, DependencyUnavailableError
from kernel.evidence import SigningKey
from kernel.ids import Stream, StreamId

DEFAULT_LIMIT = 5 << 30
_FORMAT = 1
_LOCK_SECONDS = 2.0
# Left free on the disk: nothing could be ticked off, and so make room, on one that is full.
_SPARE = 8 << 20
_SCHEMA = """
create table outbox (epoch text not null);
create table stream (
    id text primary key, next_sequence integer not null, rows integer not null, cursor text
);
create table batch (
    id integer primary key, stream text not null, sequence integer not null, rows integer not null,
    topic text not null, key blob not null, headers blob not null, body blob not null,
    unique (stream, sequence)
);
"""


@dataclass(frozen=True, slots=True)
class Encoded:
    """Rows of one contract as bytes, not yet numbered and signed."""

    contract_version: str
    content_type: str
    body: bytes
    rows: int


@dataclass(frozen=True, slots=True)
class Pending:
    """A record that waits to be sent."""

    id: int
    stream: StreamId
    record: Record


@dataclass(frozen=True, slots=True)
class StreamState:
    """How far a stream has come."""

    batches: int
    rows: int
    pending: int


class OutboxFullError(DependencyUnavailableError):
    """The disk space granted to the outbox is used up; reading stops, nothing is dropped."""


class Outbox:
    """One SQLite file, held by one process at a time."""

    def __init__(
        self, path: Path, key: SigningKey | None, limit_bytes: int = DEFAULT_LIMIT
    ) -> None:
        self._path, self._key, self._limit = path, key, limit_bytes
        with self._named():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=_LOCK_SECONDS, isolation_level=None)
            try:
                self.epoch = self._prepare()
            except BaseException:
                self._db.close()
                raise

    def _prepare(self) -> str:
        """Take the file for this process alone; make its tables the first time."""
        # The lock dies with the process, on every system, so a kill never leaves it behind.
        self._db.execute("pragma locking_mode = exclusive")
        self._db.execute("pragma auto_vacuum = incremental")
        # Bodies are large: large pages are written a third quicker, and a log of 4 MB has few.
        self._db.execute("pragma page_size = 16384")
        self._db.execute("pragma wal_autocheckpoint = 256")
        self._db.execute("pragma journal_mode = wal")
        # A sent number must never be given twice, so a commit survives a power cut too.
        self._db.execute("pragma synchronous = full")
        with self._transaction():
            found = int(self._db.execute("pragma user_version").fetchone()[0])
            if found > _FORMAT:
                raise ConfigurationError(
                    "The outbox was written by a newer version.",
                    where=str(self._path),
                    cure="install that version, or give the agent a new outbox file.",
                )
            if found == 0:
                for statement in _SCHEMA.split(";"):
                    self._db.execute(statement)
                self._db.execute("insert into outbox values (?)", (secrets.token_hex(8),))
                self._db.execute(f"pragma user_version = {_FORMAT}")
        return str(self._db.execute("select epoch from outbox").fetchone()[0])

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Say which file is in trouble, and what to do about it."""
        try:
            yield
        except sqlite3.OperationalError as failed:
            cure = "make room on the disk, or let the agent's user write there."
            if "locked" in str(failed):
                cure = "stop the other agent that uses this file, or give each its own outbox."
            raise DependencyUnavailableError(
                f"The outbox cannot be used: {failed}.", where=str(self._path), cure=cure
            ) from failed
        except OSError as failed:
            raise DependencyUnavailableError(
                f"The outbox's folder cannot be made: {failed.strerror}.",
                where=str(self._path.parent),
                cure="choose a folder that the agent's user may write.",
            ) from failed
        except sqlite3.DatabaseError as broken:
            raise ConfigurationError(
                f"This is not an outbox: {broken}.",
                where=str(self._path),
                cure="name the agent's own outbox file, or a new one.",
            ) from broken

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("begin immediate")
        try:
            yield
            self._db.execute("commit")
        except BaseException:
            # A commit that finds no room on the disk leaves its transaction open.
            if self._db.in_transaction:
                self._db.execute("rollback")
            raise

    @property
    def used_bytes(self) -> int:
        """Tell how much of its disk space waits to be sent."""
        pages, free, size = (
            int(self._db.execute(f"pragma {each}").fetchone()[0])
            for each in ("page_count", "freelist_count", "page_size")
        )
        return (pages - free) * size

    @property
    def _waits(self) -> bool:
        return self._db.execute("select 1 from batch limit 1").fetchone() is not None

    def cursor(self, stream: StreamId) -> str | None:
        """Give how far the source was read, as the connector wrote it; empty: it is rewound."""
        with self._named():
            found = self._db.execute("select cursor from stream where id = ?", (stream,)).fetchone()
        return None if found is None else str(found[0] or "")

    def rewind(self, streams: Sequence[StreamId]) -> None:
        """Let the sources be read from their beginning; numbers and what waits go on."""
        with self._named(), self._transaction():
            self._db.executemany(
                "update stream set cursor = null where id = ?", [(each,) for each in streams]
            )

    def put(self, stream: Stream, batches: Sequence[Encoded], cursor: str) -> None:
        """Keep sealed records, their numbers and the new cursor, all or nothing."""
        coming = sum(len(each.body) for each in batches)
        with self._named():
            # Where nothing waits no cap is too small for a page: it would never be read.
            if batches and self._waits and self.used_bytes + coming > self._limit:
                raise OutboxFullError(
                    f"The outbox is full: {self.used_bytes} of {self._limit} bytes are taken, "
                    f"and a page of {coming} comes.",
                    where=str(self._path),
                    cure="bring back what takes the records, brokers or gateway; or raise "
                    "agent.outbox_bytes. Reading waits meanwhile and nothing is dropped.",
                )
            if batches:
                self._require_disk(coming)
            with self._transaction():
                self._keep(stream, batches, cursor)

    def _require_disk(self, coming: int) -> None:
        free = shutil.disk_usage(self._path.parent).free
        # They are written twice: into SQLite's log, and from there.
        if free < 2 * coming + _SPARE:
            raise OutboxFullError(
                f"The disk is full but for {free} bytes, which are kept for sending what waits.",
                where=str(self._path.parent),
                cure="make room on the disk. Reading waits meanwhile and nothing is dropped.",
            )

    def _keep(self, stream: Stream, batches: Sequence[Encoded], cursor: str) -> None:
        self._db.execute("insert or ignore into stream values (?, 1, 0, null)", (stream.id,))
        (sequence,) = self._db.execute(
            "select next_sequence from stream where id = ?", (stream.id,)
        ).fetchone()
        recorded_at = clock.now()
        for number, each in enumerate(batches, sequence):
            batch = Batch(
                stream=stream,
                contract_version=each.contract_version,
                epoch=self.epoch,
                sequence=number,
                content_type=each.content_type,
                body=each.body,
                rows=each.rows,
                recorded_at=recorded_at,
            )
            record = seal(batch, self._key)
            headers = canonical.dumps([[name, value.decode()] for name, value in record.headers])
            self._db.execute(
                "insert into batch (stream, sequence, rows, topic, key, headers, body) "
                "values (?, ?, ?, ?, ?, ?, ?)",
                (stream.id, number, each.rows, record.topic, record.key, headers, record.value),
            )
        self._db.execute(
            "update stream set next_sequence = ?, rows = rows + ?, cursor = ? where id = ?",
            (sequence + len(batches), sum(each.rows for each in batches), cursor, stream.id),
        )

    def pending(self, limit: int) -> tuple[Pending, ...]:
        """Give the oldest records that wait, at most so many of each stream, in order."""
        # The places are counted over the index alone; a long backlog's bodies stay on the disk.
        query = """
            select id, stream, topic, key, body, headers from batch where id in (
                select id from (
                    select id, row_number() over (partition by stream order by sequence) as place
                    from batch
                ) where place <= ?
            ) order by stream, sequence
        """
        with self._named():
            rows = self._db.execute(query, (limit,)).fetchall()
        return tuple(
            Pending(number, StreamId(stream), self._signed(topic, key, body, headers))
            for number, stream, topic, key, body, headers in rows
        )

    def _signed(self, topic: str, key: bytes, body: bytes, headers: bytes) -> Record:
        """Let the key of today vouch: another may have ended while what it signed waits."""
        record = Record(topic, key, body, _headers(headers))
        return record if self._key is None else signed_by(record, self._key)

    def mark_sent(self, ids: Sequence[int]) -> None:
        """Forget records that the broker acknowledged."""
        with self._named():
            # What a power cut makes us remember is sent again, and landing knows repeats.
            self._db.execute("pragma synchronous = normal")
            try:
                with self._transaction():
                    self._db.executemany(
                        "delete from batch where id = ?", [(each,) for each in ids]
                    )
                # The disk is given back when nothing waits: before, what waits would be moved.
                if not self._waits:
                    # As a script: of any other statement without an answer one step is done.
                    self._db.executescript("pragma incremental_vacuum")
            finally:
                self._db.execute("pragma synchronous = full")

    def states(self) -> dict[StreamId, StreamState]:
        """Tell, per stream, how much was ever kept and how much waits."""
        query = """
            select stream.id, next_sequence - 1, stream.rows, count(batch.sequence)
            from stream left join batch on batch.stream = stream.id group by stream.id
        """
        with self._named():
            rows = self._db.execute(query).fetchall()
        return {
            StreamId(stream): StreamState(batches, count, pending)
            for stream, batches, count, pending in rows
        }

    def close(self) -> None:
        """Let another process have the file."""
        self._db.close()


def _headers(text: bytes) -> Headers:
    loaded = canonical.loads(text)
    pairs = loaded if isinstance(loaded, list) else []
    return tuple((str(name), str(value).encode()) for name, value in pairs)
