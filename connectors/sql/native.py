"""PostgreSQL's answers as Arrow, by its own driver: not by its DB-API, which would load pandas."""

import re
from collections.abc import Generator
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from itertools import islice

import adbc_driver_manager as adbc
import adbc_driver_postgresql
import pyarrow as pa
import pyarrow.compute as pc

from connectors.sql.complaints import is_timeout
from connectors.sql.patience import Caller, once
from connectors.tables import quoted, require_apart

# A few of such batches are held at a time.
_BATCH_BYTES = {adbc_driver_postgresql.StatementOptions.BATCH_SIZE_HINT_BYTES.value: str(4 << 20)}
_NUMERIC = "numeric"
_FIRST, _LAST = datetime.fromisoformat("0001-01-02"), datetime.fromisoformat("9999-12-30")
# Of PostgreSQL's numeric the modifier holds precision and scale, and its own size besides.
_HEADER, _SCALE_BITS = 4, 16


class Native:
    """A session; it ends nothing by itself, and one that hangs is left to itself."""

    def __init__(self, address: str) -> None:
        self._caller, self._held = Caller(), ExitStack()
        self._answer: Generator[pa.Table] | None = None
        try:
            self._caller.call(self._open, address)
        except BaseException:
            self.close()
            raise

    def _open(self, address: str) -> None:
        database = self._held.enter_context(closing(adbc_driver_postgresql.connect(address)))
        self._connection = self._held.enter_context(closing(adbc.AdbcConnection(database)))

    def run(self, text: str) -> None:
        """Say something that has no answer."""
        self._caller.call(self._run, text)

    def _run(self, text: str) -> None:
        with closing(adbc.AdbcStatement(self._connection)) as statement:
            statement.set_sql_query(text)
            statement.execute_update()

    def ask(self, text: str) -> Generator[pa.Table]:
        """Give an answer in tables as they come; the next is read meanwhile."""
        self._answer = answer = self._tables(text)
        # Most answers are short, and heard at once.
        count = 2
        ahead = self._caller.begin(list, islice(answer, count))
        try:
            while len(tables := self._caller.hear(ahead)) == count:
                count = 1
                ahead = self._caller.begin(list, islice(answer, count))
                yield from tables
            yield from tables
        except GeneratorExit:
            if not ahead.done():
                # Nobody waits for what was asked ahead.
                once(self._connection.cancel)
            self._caller.call(answer.close)
            raise

    def _tables(self, text: str) -> Generator[pa.Table]:
        with closing(adbc.AdbcStatement(self._connection)) as statement:
            statement.set_options(**_BATCH_BYTES)
            statement.set_sql_query(text)
            told = pa.schema(statement.execute_schema())
            statement.set_sql_query(_with_texts(text, told))
            answer, _ = statement.execute_query()
            for batch in pa.RecordBatchReader.from_stream(answer):
                yield _plain_types(pa.Table.from_batches([batch]), told)

    def close(self) -> None:
        """Let go of it."""
        self._caller.end(self._close)

    def _close(self) -> None:
        if self._answer is not None:
            self._answer.close()
        self._held.close()


def _with_texts(text: str, told: pa.Schema) -> str:
    """Let PostgreSQL write what Arrow has no type for: it is twice as quick at it as the driver."""
    require_apart(told.names)
    if not any(isinstance(field.type, pa.BaseExtensionType) for field in told):
        return text
    columns = (
        f"cast({quoted(field.name)} as text) as {quoted(field.name)}"
        if isinstance(field.type, pa.BaseExtensionType)
        else quoted(field.name)
        for field in told
    )
    # The outer question is a mere projection, which keeps the order of the inner one.
    return " ".join(("select", ", ".join(columns), "from (", text, ") as told"))


class Asker:
    """Asks a PostgreSQL, and keeps one session in between.

    To open one costs fifty times what it costs to hear that nothing is new.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._kept: Native | None = None

    def ask(self, text: str) -> Generator[pa.Table]:
        """Give an answer in tables as they come."""
        kept, self._kept = self._kept, None
        is_begun = False
        try:
            if kept is not None:
                for table in self._asked(kept, text):
                    is_begun = True
                    yield table
                return
        except adbc.Error as failed:
            # Cut off while nobody asked, perhaps: a new one tells.
            if is_begun or is_timeout(str(failed)):
                raise
        yield from self._asked(Native(self._address), text)

    def _asked(self, session: Native, text: str) -> Generator[pa.Table]:
        """Ask in a session; it is kept if the answer was heard to its end."""
        try:
            yield from session.ask(text)
        except BaseException:
            session.close()
            raise
        self.close()
        self._kept = session

    def close(self) -> None:
        """Let go of the session."""
        if self._kept is not None:
            self._kept.close()
            self._kept = None


def _plain_types(table: pa.Table, told: pa.Schema) -> pa.Table:
    """Give decimals their precision, and moments that anybody can write."""
    for at, field in enumerate(told):
        if isinstance(field.type, pa.BaseExtensionType):
            table = table.set_column(at, field.name, _decimals(table.column(at), field))
        elif pa.types.is_timestamp(field.type) or pa.types.is_date(field.type):
            table = table.set_column(at, field.name, _finite(table.column(at)))
    return table


def _finite(moments: pa.ChunkedArray) -> pa.ChunkedArray:
    """Give infinite moments as the first and the last day that anybody can write."""
    zone = UTC if getattr(moments.type, "tz", None) else None
    ends = [pa.scalar(each.replace(tzinfo=zone), moments.type) for each in (_FIRST, _LAST)]
    found = pc.min_max(moments)
    is_beyond = pc.or_(pc.less(found["min"], ends[0]), pc.greater(found["max"], ends[1]))
    if not is_beyond.as_py():
        return moments
    # Nothing stays nothing.
    moments = pc.if_else(pc.less(moments, ends[0]), ends[0], moments)
    return pc.if_else(pc.greater(moments, ends[1]), ends[1], moments)


def _decimals(texts: pa.ChunkedArray, field: pa.Field) -> pa.ChunkedArray:
    told = {key.decode(): value.decode() for key, value in (field.metadata or {}).items()}
    modifier = told.get("POSTGRESQL:typmod", "'-1'").strip("'")
    if _NUMERIC not in told.get("POSTGRESQL:type", "") or not re.fullmatch(r"\d+", modifier):
        return texts
    return decimals(texts, int(modifier))


def decimals(texts: pa.ChunkedArray, modifier: int) -> pa.ChunkedArray:
    """Give PostgreSQL's numerics, which come as texts, their precision and scale."""
    whole = modifier - _HEADER
    precision, scale = whole >> _SCALE_BITS, whole & ((1 << _SCALE_BITS) - 1)
    try:
        return texts.cast(pa.decimal128(precision, scale))
    except (pa.ArrowInvalid, ValueError):
        # NaN and infinity are numerics too, and so are more digits than any table holds: the gate
        # says what is wrong with them.
        return texts
