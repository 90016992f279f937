"""What an agent reads of a factory, as the gate judges it, beside what its truth says."""

from collections.abc import Collection, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from connectors.base import Source
from connectors.registry import find, open_source
from contracts import loader
from contracts.decode import decode_arrow
from contracts.gate import judge
from contracts.schema import batch_schema
from county.books import Books
from county.faults import Planted
from county.shape import as_arrow
from pipeline.bodies import encode
from tests.connectors.reading import mapped

Refused = set[tuple[str, str, str]]
# When a row was read, not what it says.
READ_AT = {"erp.inventory.v1": {"counted_on", "updated_at"}}


def judged(source: Source[object]) -> tuple[dict[str, pa.Table], Refused]:
    """Read everything as an agent does; give what is accepted, and what is refused and why."""
    connector = open_source(source)
    good: dict[str, pa.Table] = {}
    refused: Refused = set()
    for plan in find(source.preset).streams:
        contract = loader.find(plan.contract)
        kept: list[pa.Table] = []
        cursor, more = None, True
        while more:
            page = connector.read(plan, cursor)
            cursor, more = page.cursor, page.more
            if (rows := mapped(page, plan)) is None:
                continue
            # The mapping gives the contract's own columns in its own types.
            promised = {field.name: field.type for field in batch_schema(contract)}
            given = {f.name: f.type for f in rows.schema if f.name != "_op"}
            assert given.items() <= promised.items(), given.items() - promised.items()
            for body in encode(rows, plan.version):
                decoded = decode_arrow(body.body, contract)
                verdict = judge(decoded.rows, contract, decoded.faults)
                kept.append(decoded.rows.take(verdict.accepted()).select(list(given)))
                listed = decoded.rows.to_pylist()
                for row, reasons in verdict.refused.items():
                    key = "/".join(str(listed[row][name]) for name in contract.key)
                    refused |= {(plan.contract, key, reason.code) for reason in reasons}
        good[plan.contract] = pa.concat_tables(kept)
    connector.close()
    return good, refused


def truth_of(books: Books, planted: Collection[Planted], contract: str) -> pa.Table:
    """Give the rows that must land."""
    key = loader.find(contract).key
    rows = as_arrow({contract: books[contract]})[contract]
    bad = {each.key for each in planted if each.contract == contract and each.reason}
    names = [
        "/".join(map(str, row)) for row in zip(*(rows[k].to_pylist() for k in key), strict=True)
    ]
    keep = rows.filter(pa.array([name not in bad for name in names]))
    return keep.sort_by([(name, "ascending") for name in key])


def require_true(good: Mapping[str, pa.Table], books: Books, planted: Collection[Planted]) -> None:
    """Compare what was accepted with what must land, value by value."""
    for contract, rows in good.items():
        key = [(name, "ascending") for name in loader.find(contract).key]
        found, told = rows.sort_by(key), truth_of(books, planted, contract)
        for name in set(rows.column_names) - READ_AT.get(contract, set()):
            assert pc.all(same(found[name], told[name])).as_py() is not False, (contract, name)


def same(left: pa.ChunkedArray, right: pa.ChunkedArray) -> pa.ChunkedArray:
    """Compare values; nothing is like nothing."""
    both = pc.and_(pc.is_null(left), pc.is_null(right))
    return pc.or_kleene(both, pc.fill_null(pc.equal(left, right), False))
