"""PostgreSQL: a slot holds the log for a stream; what is safe is confirmed and may be forgotten."""

import select
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from threading import Timer

import adbc_driver_manager as adbc
import psycopg
import psycopg2
import psycopg2.extras
import pyarrow as pa
import sqlalchemy as sa
from psycopg import sql

from connectors.base import Offer, Sample
from connectors.cdc import catalogue
from connectors.cdc.log import (
    CdcStream,
    Change,
    Commit,
    Event,
    LostError,
    Part,
    Row,
    Shape,
    Spot,
    require,
)  # fmt: skip
from connectors.cdc.pgoutput import UNCHANGED, Reader, lsn, number_of
from connectors.cdc.typed import column
from connectors.sql.native import Native
from connectors.sql.patience import Caller
from connectors.sql.query import key_names
from connectors.sql.streams import NATIVE_ERRORS, native_address
from kernel import clock
from kernel.errors import ConfigurationError, DependencyUnavailableError
from kernel.log import logger

_FEW = 3
_SLOT_SECONDS, _SILENT_SECONDS, _FREE_SECONDS = 60, 120, 20
_MOMENT = 0.1
# Who makes the source keep more of its log than this is told so.
_LAGGING_BYTES = 1 << 30
# How the log writes values down; a slow reader is let go late.
_WRITTEN = (
    " -c datestyle=ISO -c intervalstyle=postgres -c extra_float_digits=1 -c bytea_output=hex"
    " -c wal_sender_timeout=600s -c lock_timeout=0"
)
_HELD = """
select confirmed_flush_lsn::text, coalesce(to_jsonb(s) ->> 'wal_status', ''),
  pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::int8
from pg_replication_slots as s where slot_name = %s
"""
_TABLES = """
select schemaname, tablename from pg_tables
where schemaname not in ('pg_catalog', 'information_schema') order by 1, 2
"""


class PostgresLog:
    """Opens passes over tables of a database."""

    errors: tuple[type[Exception], ...] = (psycopg.Error, psycopg2.Error, *NATIVE_ERRORS)

    def __init__(self, url: sa.URL, zone: str, publication: str) -> None:
        self.address = native_address(url, zone, _WRITTEN)
        self.publication = publication

    @contextmanager
    def open(self, stream: CdcStream, slot: str) -> Iterator["PostgresDoor"]:
        """Get ready for a pass."""
        with (
            closing(catalogue.Connection.connect(self.address, autocommit=True)) as asked,
            closing(PostgresDoor(self, asked, stream, slot)) as door,
        ):
            yield door

    def sample(self, stream: CdcStream, slot: str) -> Sample:
        """Read a few rows; say what is missing for following the table."""
        with self.open(stream, slot) as door:
            table, _ = next(door.rows((), _FEW), (None, ()))
            held = door.held()
        if held < _LAGGING_BYTES:
            return Sample(table)
        return Sample(
            table,
            f"The source keeps {held >> 20} MiB of its log for the slot {slot}.",
            "let the agent run; max_slot_wal_keep_size at the source limits what it keeps.",
        )

    def offers(self) -> Iterator[Offer]:
        """List the tables, with the columns of their primary keys."""
        with closing(catalogue.Connection.connect(self.address, autocommit=True)) as asked:
            for schema, name in asked.execute(_TABLES).fetchall():
                yield catalogue.offer(asked, str(schema), str(name))

    def close(self) -> None:
        """Let go of the source."""


class PostgresDoor:
    """One pass over a table: a session that asks, one that reads the table, one for the log."""

    def __init__(
        self, log: PostgresLog, asked: catalogue.Connection, stream: CdcStream, slot: str
    ) -> None:
        self._log, self._asked, self._keys, self._slot = log, asked, stream.keys, slot
        self._table = catalogue.find(asked, stream, log.publication)
        require(self._table.wrong, f"table {stream.table}")
        self._native: Native | None = None
        self._caller = Caller()
        self._link: psycopg2.extras.LogicalReplicationConnection | None = None
        self._reading: psycopg2.extras.ReplicationCursor | None = None
        self._confirmed = ""

    def close(self) -> None:
        """Let go of its sessions."""
        with suppress(psycopg2.Error):
            self._caller.end(self._hang_up)
        with suppress(adbc.Error):
            if self._native is not None:
                self._native.close()

    def _hang_up(self) -> None:
        if self._link is not None:
            self._link.close()

    def held(self) -> int:
        """Tell how much of its log the source keeps for the slot."""
        found = self._asked.execute(_HELD, [self._slot]).fetchone()
        return int(str(found[2] or 0)) if found else 0

    def claim(self) -> None:
        """Refuse a slot that somebody else has made: it may be another agent's."""
        if self._asked.execute(_HELD, [self._slot]).fetchone():
            raise ConfigurationError(
                f"The source has a slot {self._slot} already, and this agent has not made it.",
                where=f"slot {self._slot}",
                cure="give each agent that reads this source another `slot`; if none other does,"
                f" let the administrator run: select pg_drop_replication_slot('{self._slot}');",
            )

    def leave(self) -> None:
        """Drop the slot, if there is one; who died may still be thought of as alive for a while."""
        if self._asked.execute(_HELD, [self._slot]).fetchone():
            self._waiting("DROP_REPLICATION_SLOT {} WAIT")

    def begin(self, spot: Spot) -> Spot:
        """Make the slot; hold the table as it is at that moment."""
        # Made before a kill, or lost: nothing that it holds is needed.
        self.leave()
        made = self._waiting("CREATE_REPLICATION_SLOT {} LOGICAL pgoutput EXPORT_SNAPSHOT")
        self._native = self._transaction(str(made[2]))
        return replace(spot, log=str(made[1]), mark=self._mark(), at=clock.now())

    def _connected(self) -> psycopg2.extras.LogicalReplicationConnection:
        if self._link is None:
            factory = psycopg2.extras.LogicalReplicationConnection
            self._link = self._caller.call(
                psycopg2.connect, self._log.address, connection_factory=factory
            )
        return self._link

    def _command(self, text: str) -> Sequence[object]:
        with self._connected().cursor() as cursor:
            command = text.format(sql.Identifier(self._slot).as_string(None))
            self._caller.call(cursor.execute, command)
            return cursor.fetchone() or () if cursor.description else ()

    def _waiting(self, text: str) -> Sequence[object]:
        """Run what waits for others: for all that is being written, which somebody may forget."""
        giving_up = Timer(_SLOT_SECONDS, self._connected().cancel)
        # What hangs does not even let itself be told so.
        giving_up.daemon = True
        giving_up.start()
        try:
            return self._command(text)
        finally:
            giving_up.cancel()

    def _mark(self) -> str:
        """Say what the log belongs to: the server's files, the publication, the table."""
        return f"{self._command('IDENTIFY_SYSTEM')[0]}/{self._table.mark}"

    def _transaction(self, snapshot: str = "") -> Native:
        connection = Native(self._log.address)
        connection.run("begin isolation level repeatable read read only")
        if snapshot:
            connection.run(f"set transaction snapshot '{snapshot}'")
        return connection

    def rows(self, place: Sequence[Part], size: int) -> Iterator[tuple[pa.Table, tuple[Part, ...]]]:
        """Read the table behind a place in the order of its keys: each question is a short one."""
        if self._native is None:
            self._native = self._transaction()
        names = key_names(self._keys)
        found = size
        while found >= size:
            found = 0
            for table in self._native.ask(self._select(place, size)):
                if table.num_rows:
                    found += table.num_rows
                    last = table.slice(table.num_rows - 1).to_pylist()[0]
                    place = tuple(("text", str(last[name])) for name in names)
                    yield table.drop_columns(names), place

    def _select(self, place: Sequence[Part], size: int) -> str:
        keys = [sql.Identifier(key) for key in self._keys]
        texts = [
            sql.SQL("cast({} as text) as {}").format(key, sql.Identifier(name))
            for key, name in zip(keys, key_names(self._keys), strict=True)
        ]
        # A value without a type takes that of the key.
        behind = sql.SQL("({}) > ({})").format(
            sql.SQL(", ").join(keys), sql.SQL(", ").join(sql.Literal(text) for _, text in place)
        )
        return (
            sql.SQL("select {}, {} from {} where {} order by {} limit {}")
            .format(
                self._table.selected(),
                sql.SQL(", ").join(texts),
                self._table.quoted,
                behind if place else sql.SQL("true"),
                sql.SQL(", ").join(keys),
                sql.Literal(size),
            )
            .as_string(self._asked)
        )

    def changes(self, spot: Spot) -> Generator[Event]:
        """Read the log from a spot to where it ends now."""
        system = self._command("IDENTIFY_SYSTEM")
        end = number_of(str(system[2]))
        self._require_held(spot, f"{system[0]}/{self._table.mark}", end)
        cursor = self._reading = self._started(spot)
        self.confirm(spot)
        reader = Reader(self._table.schema, self._table.name)
        shape, until = Shape({}), number_of(spot.log)
        for message in self._messages(cursor, reader, end):
            if message is None:
                yield Commit(lsn(max(until, cursor.wal_end)), clock.now(), is_pause=True)
                continue
            for event in reader.read(message):
                if isinstance(event, Shape):
                    shape = event
                elif isinstance(event, Commit):
                    until = number_of(event.log)
                yield self._whole(event, shape) if isinstance(event, Change) else event
        yield Commit(lsn(max(until, cursor.wal_end)), clock.now())

    def _started(self, spot: Spot) -> psycopg2.extras.ReplicationCursor:
        name = sql.Identifier(self._log.publication).as_string(None)
        deadline = clock.monotonic() + _FREE_SECONDS
        while True:
            cursor = self._connected().cursor()
            try:
                self._caller.call(
                    cursor.start_replication,
                    slot_name=self._slot, start_lsn=number_of(spot.log), decode=False,
                    options={"proto_version": "1", "publication_names": name},
                )  # fmt: skip
            except psycopg2.errors.ObjectInUse:
                # The server notices a little later that the session before is gone.
                if clock.monotonic() > deadline:
                    raise
                clock.sleep(_MOMENT)
            else:
                return cursor

    def _messages(
        self, cursor: psycopg2.extras.ReplicationCursor, reader: Reader, end: int
    ) -> Generator[bytes | None]:
        """Give what the source sends; nothing, when it has sent nothing for a moment."""
        heard = clock.monotonic()
        while True:
            message = cursor.read_message()
            if message is not None:
                heard = clock.monotonic()
                yield message.payload
            elif not reader.inside and (cursor.wal_end or 0) >= end:
                return
            elif clock.monotonic() - heard > _SILENT_SECONDS:
                raise DependencyUnavailableError(
                    "The source's log is silent.",
                    where=f"slot {self._slot}",
                    cure="it is asked again by itself; if that lasts, restart the source's server.",
                )
            elif select.select([cursor], [], [], 1)[0] or reader.inside:
                continue
            elif (cursor.wal_end or 0) > number_of(self._confirmed):
                yield None
            else:
                cursor.send_feedback(reply=True, force=True)

    def _whole(self, change: Change, shape: Shape) -> Change:
        """Fill in what the log leaves out; a row that is gone stays a change, for they count."""
        if change.row is None or UNCHANGED not in change.row:
            return change
        return replace(change, row=self._again(change, shape))

    def _again(self, change: Change, shape: Shape) -> Row | None:
        """Read a row anew whose large values the log leaves out; it may be gone: that follows."""
        names = list(shape.columns)
        row = dict(zip(names, change.row or (), strict=True))
        query = sql.SQL("select {} from {} where ({}) = ({})").format(
            sql.SQL(", ").join(map(sql.Identifier, names)),
            self._table.quoted,
            sql.SQL(", ").join(map(sql.Identifier, self._keys)),
            sql.SQL(", ").join(sql.Literal(row[key]) for key in self._keys),
        )
        try:
            told = self._asked.execute(query).pgresult
        except psycopg.errors.UndefinedColumn as changed:
            raise LostError("a column is gone whose large values the log leaves out") from changed
        if told is None or not told.ntuples:
            return None
        values = [told.get_value(0, at) for at in range(len(names))]
        return [None if value is None else value.decode() for value in values]

    def confirm(self, spot: Spot) -> None:
        """Let the source forget what is safe.

        Never twice the same: with it the driver confirms what the source has passed since, and who
        comes back with the spot would find the slot ahead of it.
        """
        if self._reading is not None and spot.log != self._confirmed:
            self._reading.send_feedback(flush_lsn=number_of(spot.log), reply=True, force=True)
            self._confirmed = spot.log

    def table(self, columns: dict[str, str], rows: Sequence[Row]) -> pa.Table:
        """Give rows of the log in the types of the table."""
        made = {}
        for (name, told), values in zip(columns.items(), zip(*rows, strict=True), strict=True):
            oid, _, modifier = told.partition(",")
            base = catalogue.base(self._asked, int(oid), int(modifier))
            made[name] = column(values, *base)
        return pa.table(made)

    def _require_held(self, spot: Spot, mark: str, end: int) -> None:
        """Compare what the source has with what the spot needs."""
        found = self._asked.execute(_HELD, [self._slot]).fetchone()
        if found is None:
            raise LostError("its slot is gone")
        confirmed, status, held = found
        if status == "lost":
            raise LostError("it kept no more of its log (max_slot_wal_keep_size)")
        if spot.mark != mark:
            raise LostError("the server, the table or the publication was made anew")
        if number_of(spot.log) > end:
            raise LostError("it was set back to an earlier state")
        if number_of(str(confirmed)) > number_of(spot.log):
            raise LostError("somebody else read its slot further")
        if int(str(held or 0)) > _LAGGING_BYTES:
            logger("cdc").warning("the source keeps much of its log", slot=self._slot, bytes=held)
