"""What is promised across rows, asked of whole tables: references arrive, a version says one."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import pyarrow as pa

from contracts.model import Contract
from contracts.violations import Kind, Violation
from kernel.ids import ContractId
from warehouse.tables import Engine, Source, current_state

# Such values leave the factory as pseudonyms, which another key changes.
_HIDDEN = frozenset({"personal", "secret"})
_VERSION = "updated_at"
# So many different keys of a source are told one by one.
_LISTED = 100
_PLACED = (
    "_enterprise", "_source", "_stream", "_epoch", "_sequence", "_op", "_topic", "_partition",
    "_offset", "_row", "_broker_at",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Link:
    """Columns that together name a row of another contract, and the columns that they name."""

    target: Contract
    columns: tuple[str, ...]
    named: tuple[str, ...]

    @property
    def code(self) -> str:
        """Spell the reason code."""
        return Violation(Kind.REFERENCE, self.columns[0]).code


@dataclass(frozen=True, slots=True)
class Broken:
    """A promise that rows of one enterprise and source break; without a key: none can be asked."""

    enterprise: str
    source: str
    code: str
    key: Mapping[str, object]
    rows: int
    example: str
    # Stands for what was found broken: more of it is another break.
    seen: str = ""


@dataclass(frozen=True, slots=True)
class Promises:
    """Asks one contract's landing table, beside those that it refers to."""

    engine: Engine
    contract: Contract
    tables: Mapping[str, Source]

    def unanswered(self, link: Link, late: timedelta) -> list[Broken]:
        """Find references to what has not come though its source has gone on for the tolerance.

        Only the broker's times count: while nothing comes on either stream, everything may come.
        What is referred to may be a list that never changes, so its own stream need not go on.
        """
        query = _UNANSWERED.format(
            columns=", ".join(link.columns),
            present=" and ".join(f"{name} is not null" for name in link.columns),
            same=" and ".join(
                f"target.{named} = asked.{name}"
                for name, named in zip(link.columns, link.named, strict=True)
            ),
            late=int(late.total_seconds()),
        )
        return self._standing(query, link.columns, link.code, link.target)

    def unpublished(self, link: Link) -> list[Broken]:
        """Find the sources that publish what refers, and nothing of what it refers to."""
        present = " and ".join(f"{name} is not null" for name in link.columns)
        inputs = {"landed": self.tables[self.contract.table], "target": self._table(link.target)}
        rows = self.engine.run(_UNPUBLISHED.format(present=present), inputs).to_pylist()
        return [
            Broken(str(row["_enterprise"]), str(row["_source"]), link.code, {}, row["_rows"], "")
            for row in rows
        ]

    def contradicting(self) -> list[Broken]:
        """Find versions of an object that were told with different content, and still count."""
        columns = (*self.contract.key, _VERSION)
        told = [
            each.name
            for each in self.contract.properties
            if each.name not in columns and each.classification not in _HIDDEN
        ]
        if not told:
            return []
        words = {
            "columns": ", ".join(columns),
            "ends": ", ".join(
                f"min({name}) as _least_{name}, max({name}) as _most_{name}" for name in told
            ),
            "differs": " or ".join(
                f"min(_least_{name}) is distinct from max(_most_{name})" for name in told
            ),
            # What lay beside the contract, or was sent by another version of it, may be null here.
            "torn": " or ".join(
                f"""count({name}) not in (0, count(*) filter (
                    {name} is not null or not contains(coalesce(_extra, ''), '"{name}":')
                ))"""
                for name in told
            ),
            "content": _digest(f"coalesce(cast({name} as varchar), '~')" for name in told),
        }
        code = Violation(Kind.VERSION, self.contract.key[0]).code
        return self._standing(_CONTRADICTING.format(**words), columns, code, self.contract)

    def stated(self, alive: pa.Table) -> Iterator[Broken]:
        """Find the sources that are silent here for too long while alive, or send too few rows.

        `alive` tells of each source when anything of it came last.
        """
        asked: list[tuple[Kind, str]] = []
        if (often := self.contract.frequency) is not None:
            seconds = int(often.total_seconds())
            asked.append((Kind.FREQUENCY, f"alive._seen > _last + interval '{seconds}' second"))
        if (least := self.contract.least_rows) is not None:
            asked.append((Kind.ROWS, f"_rows < {least}"))
        landed = self._table(self.contract)
        inputs = {"landed": landed, self.contract.table: landed, "alive": alive}
        current = current_state(self.contract, _unique([*self.contract.key, _VERSION]))
        for kind, broken in asked:
            query = _STATED.format(current=current, broken=broken)
            for row in self.engine.run(query, inputs).to_pylist():
                source, rows = (str(row["_enterprise"]), str(row["_source"])), row["_rows"]
                # A new silence begins after a new last row; a loss of rows is another number.
                seen = str(row["_last"] if kind is Kind.FREQUENCY else rows)
                yield Broken(*source, str(kind), {}, rows, "", seen)

    def alive(self) -> pa.Table:
        """Tell of each source when a row of this contract came last."""
        return self.engine.run(_ALIVE, {"landed": self._table(self.contract)})

    def _table(self, contract: Contract) -> Source:
        return self.tables[contract.table]

    def _standing(
        self, query: str, columns: Sequence[str], code: str, target: Contract
    ) -> list[Broken]:
        """Keep what an object's newest version says: an older one is mended by a newer."""
        landed = self._table(self.contract)
        found = self.engine.run(query, {"landed": landed, "target": self._table(target)})
        if not found.num_rows:
            return []
        needed = _unique([*self.contract.key, *columns, _VERSION])
        words = {
            "columns": ", ".join(columns),
            "key": ", ".join(self.contract.key),
            "needed": ", ".join(f"landed.{name}" for name in [*needed, *_PLACED]),
            "current": current_state(self.contract, needed),
            "listed": ", ".join(f"found.{name}" for name in columns),
            "object": _digest(["_seen", *(f"current_state.{name}" for name in self.contract.key)]),
            "nothing": ", ".join("null" for _ in columns),
            "most": _LISTED,
        }
        history = self.engine.run(_HISTORY.format(**words), {"found": found, "landed": landed})
        inputs = {"found": found, self.contract.table: history}
        return [
            Broken(
                str(row["_enterprise"]),
                str(row["_source"]),
                code,
                # So many are told as one: a factory's slip must not fill our tables.
                {name: row[name] for name in columns}
                if row["_keys"] <= _LISTED
                else {"different": row["_keys"]},
                row["_rows"],
                row["_example"],
                row["_seen"],
            )
            for row in self.engine.run(_CURRENT.format(**words), inputs).to_pylist()
        ]


def _unique(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))


def _digest(values: Iterable[str]) -> str:
    """Spell the digest of some values of a row."""
    return f"md5(concat_ws('|', {', '.join(values)}))"


def links(contract: Contract, known: Mapping[ContractId, Contract]) -> tuple[Link, ...]:
    """List a contract's references: columns that name several of one row go together."""
    pairs: dict[ContractId, list[tuple[str, str]]] = {}
    for column in contract.properties:
        if column.reference:
            named = (column.name, column.reference.column)
            pairs.setdefault(column.reference.contract, []).append(named)
    found: list[Link] = []
    for target, listed in pairs.items():
        # Two columns that name the same one, as parent and part do, name two rows.
        is_one_row = len({named for _, named in listed}) == len(listed)
        for group in [listed] if is_one_row else [[pair] for pair in listed]:
            columns, named = zip(*group, strict=True)
            found.append(Link(known[target], columns, named))
    return tuple(found)


_UNANSWERED = """
with newest as (
    select _enterprise, _source, min(_broker_at) filter (_is_target) as _begun,
        max(_broker_at) as _seen
    from (
        select _enterprise, _source, _broker_at, true as _is_target from target
        union all
        select _enterprise, _source, _broker_at, false from landed
    )
    group by _enterprise, _source
),
asked as (
    select _enterprise, _source, {columns}, count(*) as _rows, min(_broker_at) as _since
    from landed
    where _op = 'upsert' and {present}
    group by _enterprise, _source, {columns}
)
select asked.*, '' as _seen from asked
inner join newest on newest._enterprise = asked._enterprise and newest._source = asked._source
where newest._begun is not null
and newest._seen >= greatest(asked._since, newest._begun) + interval '{late}' second
and not exists (
    select 1 from target
    where target._enterprise = asked._enterprise and target._source = asked._source
        and target._op = 'upsert' and {same}
)
"""
_ALIVE = """
select _enterprise, _source, max(_broker_at) as _seen from landed group by _enterprise, _source
"""
_STATED = """
with mine as (
    select _enterprise, _source, max(_broker_at) as _last
    from landed
    group by _enterprise, _source
),
counted as (
    select _enterprise, _source, count(*) as _rows
    from ({current}) as current_state
    group by _enterprise, _source
),
source as (
    select _enterprise, _source, _last, coalesce(_rows, 0) as _rows
    from mine
    left join counted using (_enterprise, _source)
)
select _enterprise, _source, _last, _rows
from source
inner join (
    select _enterprise, _source, max(_seen) as _seen from alive group by _enterprise, _source
) as alive using (_enterprise, _source)
where {broken}
order by _enterprise, _source
"""
_UNPUBLISHED = """
select _enterprise, _source, count(*) as _rows from landed
where _op = 'upsert' and {present} and not exists (
    select 1 from target
    where target._enterprise = landed._enterprise and target._source = landed._source
)
group by _enterprise, _source
order by _enterprise, _source
"""
# What was told once is the most, and is left out before contents are compared.
_CONTRADICTING = """
with again as (
    select _enterprise, _source, {columns} from landed
    where _op = 'upsert'
    group by _enterprise, _source, {columns}
    having count(*) > 1
),
told as (
    select _enterprise, _source, {columns}, count(*) as _rows, {torn} as _torn, {ends}
    from landed inner join again using (_enterprise, _source, {columns})
    where _op = 'upsert'
    group by _enterprise, _source, {columns}, _contract_version
),
differing as (
    select _enterprise, _source, {columns}, cast(sum(_rows) as bigint) as _rows
    from told
    group by _enterprise, _source, {columns}
    having bool_or(_torn) or {differs}
)
select
    _enterprise, _source, {columns}, any_value(_rows) as _rows,
    string_agg(distinct {content}, '' order by {content}) as _seen
from landed inner join differing using (_enterprise, _source, {columns})
where _op = 'upsert'
group by _enterprise, _source, {columns}
"""
# All versions of the objects that are concerned, and of no others.
_HISTORY = """
with concerned as (
    select distinct _enterprise, _source, {key}
    from landed inner join found using (_enterprise, _source, {columns})
)
select {needed} from landed semi join concerned using (_enterprise, _source, {key})
"""
# Seen is what was told of a version, or which objects name what has not come.
_CURRENT = """
with concerned as (
    select
        found._enterprise, found._source, {listed}, _rows, _origin,
        {object} as _seen
    from found
    inner join ({current}) as current_state using (_enterprise, _source, {columns})
),
broken as (
    select
        _enterprise, _source, {columns}, max(_rows) as _rows, min(_origin) as _example,
        string_agg(distinct _seen, '' order by _seen) as _seen
    from concerned
    group by _enterprise, _source, {columns}
),
source as (
    select
        _enterprise, _source, count(*) as _keys, sum(_rows) as _all, min(_example) as _first,
        md5(string_agg(_seen, '' order by {columns})) as _whole
    from broken
    group by _enterprise, _source
)
select
    _enterprise, _source, {columns}, _keys, _example, cast(_rows as bigint) as _rows,
    md5(_seen) as _seen
from broken inner join source using (_enterprise, _source)
where _keys <= {most}
union all
select
    _enterprise, _source, {nothing}, _keys, _first, cast(_all as bigint), _whole
from source
where _keys > {most}
order by _enterprise, _source, {columns}
"""
