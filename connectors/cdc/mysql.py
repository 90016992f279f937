"""MySQL and MariaDB: the binary log of rows, by file and position; nothing waits at the source."""

import secrets
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pyarrow as pa
import pymysql
import sqlalchemy as sa
from pymysqlreplication import BinLogStreamReader
from pymysqlreplication.event import FormatDescriptionEvent, QueryEvent, XidEvent
from pymysqlreplication.row_event import DeleteRowsEvent, RowsEvent, UpdateRowsEvent, WriteRowsEvent
from sqlalchemy.engine.interfaces import DBAPIConnection

from connectors.base import Offer, Sample
from connectors.cdc.binlog import Columns, as_declared, statement
from connectors.cdc.log import (
    CdcStream,
    Change,
    Commit,
    Emptied,
    Event,
    LostError,
    Part,
    Row,
    Shape,
    Spot,
    require,
)  # fmt: skip
from connectors.cdc.variables import find, offers
from connectors.sql.streams import Database
from connectors.sql.wire import Wire
from connectors.tables import column_of, together
from kernel import clock

_FEW = 3
_SILENT_SECONDS = 120
_FATAL_LOG = 1236
_EVENTS = [
    DeleteRowsEvent, FormatDescriptionEvent, QueryEvent, UpdateRowsEvent, WriteRowsEvent, XidEvent,
]  # fmt: skip
_PARTS: dict[str, Callable[[str], object]] = {
    "int": int,
    "decimal": Decimal,
    "hex": bytes.fromhex,
    "text": str,
}


class MysqlLog:
    """Opens passes over tables of a database."""

    errors: tuple[type[Exception], ...] = (pymysql.Error, sa.exc.SQLAlchemyError)

    def __init__(self, url: sa.URL, zone: str) -> None:
        self.database, self.zone = Database(url, zone), zone

    @contextmanager
    def open(self, stream: CdcStream, slot: str) -> Iterator["MysqlDoor"]:
        """Get ready for a pass; the log is no slot's."""
        del slot
        with closing(self._asked()) as asked:
            yield MysqlDoor(self, asked, stream)

    def _asked(self) -> Wire:
        """Open a session for one pass: what the table is read in ends with it."""
        borrowed = self.database.engine.raw_connection()
        connection: Wire | None = borrowed.driver_connection
        if connection is None:
            raise pymysql.OperationalError(2013, "Lost connection to server during query")
        borrowed.detach()
        return connection

    def sample(self, stream: CdcStream, slot: str) -> Sample:
        """Read a few rows; say what is missing for following the table."""
        with self.open(stream, slot) as door:
            table, _ = next(door.rows((), _FEW), (None, ()))
            with closing(door.changes(door.now())) as events:
                next(events, None)
        return Sample(table)

    def offers(self) -> Iterator[Offer]:
        """List the tables, with the columns of their primary keys."""
        with closing(self._asked()) as asked:
            yield from offers(asked, self.database.url.database or "")

    def close(self) -> None:
        """Let go of the source."""
        self.database.close()


class MysqlDoor:
    """One pass over a table."""

    def __init__(self, log: MysqlLog, asked: Wire, stream: CdcStream) -> None:
        self._log, self._asked, self._keys = log, asked, stream.keys
        self._table = find(asked, stream, log.database.url.database or "")
        require(self._table.wrong, f"table {stream.table}")

    def claim(self) -> None:
        """Nothing is held at the source, so nothing can be another's."""

    def leave(self) -> None:
        """Nothing is held at the source."""

    def now(self) -> Spot:
        """Give the end of the log."""
        file, position = self._table.position
        return Spot("", f"{file}:{position}", at=clock.now())

    def begin(self, spot: Spot) -> Spot:
        """Hold the table as it is now, and know from where on the log changes it."""
        with self._asked.cursor() as cursor:
            cursor.execute("set session transaction isolation level repeatable read")
            cursor.execute("start transaction with consistent snapshot")
            # MariaDB tells what is in the snapshot; others are read from a little before.
            cursor.execute("show status like 'binlog_snapshot_%'")
            told = {str(name).lower(): value for name, value in cursor.fetchall()}
        file, position = self._table.position
        file = str(told.get("binlog_snapshot_file") or file)
        position = int(str(told.get("binlog_snapshot_position") or position))
        return replace(spot, log=f"{file}:{position}", at=clock.now())

    def rows(self, place: Sequence[Part], size: int) -> Iterator[tuple[pa.Table, tuple[Part, ...]]]:
        """Read the table behind a place in the order of its keys."""
        found = size
        while found >= size:
            text, values = self._select(place)
            with self._asked.cursor() as cursor:
                asked = cursor.mogrify(f"{text} limit {size}", values)
            table = together([pa.table({}), *self._asked.ask(asked)])
            found = table.num_rows
            if found:
                (last,) = table.slice(found - 1).to_pylist()
                place = tuple(_part(last[key]) for key in self._keys)
                yield table, place

    def _select(self, place: Sequence[Part]) -> tuple[str, list[object]]:
        # Doubled, or the driver takes it for a parameter.
        keys = [_quoted(key).replace("%", "%%") for key in self._keys]
        values: list[object] = [_PARTS[kind](text) for kind, text in place]
        where, given = "", []
        if values:
            choices = []
            for at, key in enumerate(keys):
                same = [f"{before} = %s" for before in keys[:at]]
                choices.append(" and ".join([*same, f"{key} > %s"]))
                given += values[: at + 1]
            # That the first part is not before lets the index be used.
            where = f" where {keys[0]} >= %s and ({' or '.join(choices)})"
            given = [values[0], *given]
        table = self._table.quoted.replace("%", "%%")
        query = ("select * from", table, where, "order by", ", ".join(keys))
        return " ".join(query), given

    def changes(self, spot: Spot) -> Generator[Event]:
        """Read the log from a spot to where it ends now."""
        file, _, position = spot.log.rpartition(":")
        stream = self._stream(file, int(position))
        mark, shape = "", Shape({})
        columns = Columns(self._log.zone)
        try:
            for event in stream:
                if isinstance(event, FormatDescriptionEvent):
                    mark = f"{stream.log_file}/{event.timestamp}"
                    _require_same(spot.mark, mark)
                elif isinstance(event, RowsEvent):
                    now = Shape(columns.shape(event))
                    if now != shape:
                        shape = now
                        yield shape
                    yield from self._told(event, columns)
                else:
                    yield from self._ended(event, f"{stream.log_file}:{stream.log_pos}", mark)
            yield Commit(f"{stream.log_file}:{stream.log_pos}", clock.now(), mark)
        except pymysql.Error as failed:
            if failed.args[0] != _FATAL_LOG or "server_id" in str(failed):
                raise
            raise LostError(f"it says {str(failed.args[1]).strip()}") from failed
        finally:
            stream.close()

    def _stream(self, file: str, position: int) -> BinLogStreamReader:
        dialect = self._log.database.engine.dialect
        _, settings = dialect.create_connect_args(self._log.database.url)
        left = ["catalogue", "log"]

        def connect(**options: object) -> DBAPIConnection:
            # The library would go on by itself after a loss, in the middle of a transaction.
            if not left:
                raise pymysql.OperationalError(2013, "Lost connection to server during query")
            left.pop()
            return dialect.connect(**options)

        return BinLogStreamReader(
            connection_settings={**settings, "read_timeout": _SILENT_SECONDS},
            server_id=1 + secrets.randbelow((1 << 32) - 2),
            resume_stream=True, log_file=file, log_pos=position, only_events=_EVENTS,
            only_schemas=[self._table.schema], only_tables=[self._table.name],
            is_mariadb=False, pymysql_wrapper=connect, enable_logging=False,
        )  # fmt: skip

    def _told(self, event: RowsEvent, columns: Columns) -> Iterator[Event]:
        size = event.event_size // max(1, len(event.rows))
        for row in event.rows:
            if isinstance(event, WriteRowsEvent):
                yield Change(columns.row(row, ""), None, size)
            elif isinstance(event, DeleteRowsEvent):
                yield Change(None, columns.row(row, ""), size)
            else:
                yield Change(columns.row(row, "after_"), columns.row(row, "before_"), size)

    def _ended(self, event: QueryEvent | XidEvent, log: str, mark: str) -> Iterator[Event]:
        at = datetime.fromtimestamp(event.timestamp, UTC)
        if isinstance(event, QueryEvent):
            schema = event.schema.decode() if isinstance(event.schema, bytes) else event.schema
            does = statement(event.query, schema, self._table.schema, self._table.name)
            if does.is_within:
                return
            if does.ends_table:
                raise LostError(f"the table was dropped, renamed or replaced at {at:%F %T}Z")
            if does.hides:
                yield Emptied(does.hides, at)
        yield Commit(log, at, mark)

    def confirm(self, spot: Spot) -> None:
        """Nothing is held at the source."""

    def table(self, columns: dict[str, str], rows: Sequence[Row]) -> pa.Table:
        """Give rows of the log in the types of the table."""
        made = map(column_of, zip(*rows, strict=True))
        return pa.table(
            [as_declared(*each) for each in zip(made, columns.values(), strict=True)], [*columns]
        )


def _require_same(known: str, found: str) -> None:
    """A file of the same name that was begun at another time is another log."""
    if known and known.partition("/")[0] == found.partition("/")[0] and known != found:
        raise LostError("its log was begun anew: it was set back, or its log was reset")


def _part(value: object) -> Part:
    if isinstance(value, bytes):
        return "hex", value.hex()
    if isinstance(value, Decimal):
        return "decimal", str(value)
    return ("int" if isinstance(value, int) else "text"), str(value)


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"
