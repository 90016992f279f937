"""What PostgreSQL's catalogue says of a table to be followed, and what is missing for that."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

import psycopg
from psycopg import sql
from psycopg.abc import PQGen
from typing_extensions import override

from connectors.base import Offer
from connectors.cdc.log import CdcStream
from connectors.cdc.typed import KNOWN
from connectors.sql import patience
from kernel.errors import ConfigurationError

_T = TypeVar("_T")
_MOMENT = 0.1
# To be run by an administrator, once; what stands in it is quoted already.
Wrong = tuple[str, str]

_TABLE = """
select c.oid::int8, c.relkind::text, c.relreplident::text, has_table_privilege(c.oid, 'select'),
  current_setting('wal_level'), r.rolreplication or r.rolsuper, r.rolname::text
from pg_class as c inner join pg_namespace as n on n.oid = c.relnamespace
cross join pg_roles as r
where n.nspname = %s and c.relname = %s and r.rolname = current_user
"""
# What is generated the log does not tell.
_COLUMNS = """
select attname::text, atttypid::int8, atttypmod, attnotnull from pg_attribute
where attrelid = %s::int8 and attnum > 0 and not attisdropped and attgenerated = '' order by attnum
"""
_TYPES = """
select attname::text, format_type(atttypid, atttypmod), attrelid::int8 from pg_attribute
inner join pg_class as c on c.oid = attrelid inner join pg_namespace as n on n.oid = relnamespace
where nspname = %s and relname = %s and attnum > 0 and not attisdropped order by attnum
"""
_DOMAINS = "select oid::int8, typbasetype::int8, typtypmod from pg_type where typtype = 'd'"
_UNIQUE = """
select array_agg(a.attname::text), i.indisprimary, i.indisreplident
from pg_index as i inner join pg_attribute as a
  on a.attrelid = i.indrelid and a.attnum = any((i.indkey::int2[])[0:i.indnkeyatts - 1])
where i.indrelid = %s::int8 and i.indisunique and i.indisvalid and i.indpred is null
  and i.indexprs is null
group by i.indexrelid, i.indisprimary, i.indisreplident
"""
# Columns that older releases do not have are asked for by their names in a row.
_PUBLISHED = """
select p.oid::int8, coalesce(r.oid, 0)::int8,
  p.pubinsert and p.pubupdate and p.pubdelete and p.pubtruncate,
  coalesce(to_jsonb(r) ->> 'prqual', to_jsonb(r) ->> 'prattrs') is null,
  exists (select 1 from pg_publication_tables as t
    where t.pubname = p.pubname and t.schemaname = %s and t.tablename = %s)
from pg_publication as p
left join pg_publication_rel as r on r.prpubid = p.oid and r.prrelid = %s::int8
where p.pubname = %s
"""


class Connection(psycopg.Connection[tuple[object, ...]]):
    """A session that waits for no answer for ever."""

    @override
    def wait(self, gen: PQGen[_T], interval: float = _MOMENT, timeout: float | None = None) -> _T:
        return super().wait(gen, interval, timeout or patience.SILENT_SECONDS)


@dataclass(frozen=True, slots=True)
class Table:
    """A table with its columns: base type and modifier of each."""

    schema: str
    name: str
    columns: dict[str, tuple[int, int]]
    # What has another value when table or publication were made anew.
    mark: str
    wrong: tuple[Wrong, ...]

    @property
    def quoted(self) -> sql.Identifier:
        """Write its name as SQL does."""
        return sql.Identifier(self.schema, self.name)

    def selected(self) -> sql.Composed:
        """Select its columns, those of types that we do not know as texts."""
        parts = []
        for name, (oid, _) in self.columns.items():
            form = "{0}" if oid in KNOWN else "cast({0} as text) as {0}"
            parts.append(sql.SQL(form).format(sql.Identifier(name)))
        return sql.SQL(", ").join(parts)


@dataclass(frozen=True, slots=True)
class _Columns:
    table: str
    all: set[str]
    nullable: set[str]


def find(connection: Connection, stream: CdcStream, publication: str) -> Table:
    """Look a table up, with all that is missing for following it."""
    schema, _, name = stream.table.rpartition(".")
    if "." in name or "." in schema:
        schema, _, name = stream.table.partition(".")
    schema = schema or "public"
    found = connection.execute(_TABLE, [schema, name]).fetchone()
    if found is None:
        raise ConfigurationError(
            f"The source has no such table: {schema}.{name}.",
            where=f"table {stream.table}",
            cure="correct `table` in the preset, or grant usage of the schema to the user.",
        )
    oid = found[0]
    listed = connection.execute(_COLUMNS, [oid]).fetchall()
    columns = {str(n): base(connection, int(str(t)), int(str(m))) for n, t, m, _ in listed}
    nullable = {str(n) for n, _, _, is_not_null in listed if not is_not_null}
    published = connection.execute(_PUBLISHED, [schema, name, oid, publication]).fetchone()
    unique = connection.execute(_UNIQUE, [oid]).fetchall()
    table = sql.Identifier(schema, name).as_string(connection)
    wrong = [
        *_settings(found, table),
        *_publication(published, table, sql.Identifier(publication).as_string(connection)),
        *_keys(stream, _Columns(table, {*columns}, nullable), unique, str(found[2])),
    ]
    mark = f"{oid}/{published[:3] if published else ''}"
    return Table(schema, name, columns, mark, tuple(wrong))


def base(connection: Connection, oid: int, modifier: int) -> tuple[int, int]:
    """Give the type behind a domain."""
    if oid in KNOWN:
        return oid, modifier
    domains = {int(str(d)): (int(str(b)), int(str(m))) for d, b, m in connection.execute(_DOMAINS)}
    while oid in domains:
        oid, modifier = domains[oid]
    return oid, modifier


def _settings(found: tuple[object, ...], table: str) -> Iterator[Wrong]:
    _, kind, _, may_read, level, may_replicate, user = found
    quoted = sql.Identifier(str(user)).as_string(None)
    if kind not in ("r", "p"):
        yield "Only a table has a log of changes, not a view.", "-- name its tables in the preset"
    if level != "logical":
        yield (
            f"The source's log does not hold changes: wal_level is {level}.",
            "alter system set wal_level = logical; -- then restart the server",
        )
    if not may_replicate:
        yield "The user may not read the log.", f"alter role {quoted} replication;"
    if not may_read:
        yield "The user may not read the table.", f"grant select on {table} to {quoted};"


def _publication(found: tuple[object, ...] | None, table: str, name: str) -> Iterator[Wrong]:
    if found is None:
        cure = f"create publication {name} for table {table};"
        yield f"The source has no publication {name}.", cure
        return
    _, _, tells_all, is_whole, has_table = found
    if not has_table:
        yield (
            f"The publication {name} does not hold the table.",
            (
                f"alter publication {name} add table {table}; -- if it is partitioned, also: "
                f"alter publication {name} set (publish_via_partition_root = true);"
            ),
        )
    if not tells_all:
        yield (
            f"The publication {name} leaves some changes out.",
            f"alter publication {name} set (publish = 'insert, update, delete, truncate');",
        )
    if not is_whole:
        yield (
            f"The publication {name} leaves rows or columns out.",
            (
                f"alter publication {name} drop table {table}; "
                f"alter publication {name} add table {table};"
            ),
        )


def _keys(
    stream: CdcStream, columns: _Columns, unique: list[tuple[object, ...]], identity: str
) -> Iterator[Wrong]:
    """Keys must tell rows apart, and a delete must tell the keys."""
    keys, table = {*stream.keys}, columns.table
    if missing := sorted(keys - columns.all):
        yield f"The table has no column {', '.join(missing)}.", "-- correct `keys` in the preset"
        return
    alone = [{*map(str, _listed(names))} for names, _, _ in unique]
    if not any(each <= keys for each in alone) or keys & columns.nullable:
        yield (
            f"Nothing in the table promises that {', '.join(stream.keys)} tell rows apart.",
            (
                "-- name the columns of the primary key as `keys`, or: "
                f"alter table {table} add primary key ({', '.join(map(_quoted, stream.keys))});"
            ),
        )
    told = {"f": columns.all, "d": _told(unique, 1), "i": _told(unique, 2)}.get(identity, set())
    if not keys <= told:
        yield (
            "The log does not tell the keys of rows that are deleted.",
            f"alter table {table} replica identity full;",
        )


def _told(unique: list[tuple[object, ...]], at: int) -> set[str]:
    """List the columns of the primary key, or of the index that is chosen for the log."""
    return {name for each in unique if each[at] for name in map(str, _listed(each[0]))}


def _listed(names: object) -> list[object]:
    return list(names) if isinstance(names, list) else []


def _quoted(name: str) -> str:
    return sql.Identifier(name).as_string(None)


def offer(connection: Connection, schema: str, name: str) -> Offer:
    """Say how a table can be followed, with the columns of its primary key."""
    types = connection.execute(_TYPES, [schema, name]).fetchall()
    oid = types[0][2] if types else 0
    unique = connection.execute(_UNIQUE, [oid]).fetchall()
    keys = next((_listed(names) for names, is_primary, _ in unique if is_primary), [])
    how: dict[str, object] = {"table": f"{schema}.{name}", "keys": list(keys)}
    return Offer(f"{schema}.{name}", {str(n): str(t) for n, t, _ in types}, how)
