"""Whatever the bus does with records, the tables are the same: order, repeats, splits, kills."""

import tempfile
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bus.ports import Record
from contracts.loader import find
from pipeline.settings import LandSettings
from tests.pipeline.county import County
from tests.rows import record_of, valid_row
from warehouse.engines.duck import DuckEngine
from warehouse.tables import core_tables

CONTRACT = find("erp.payment.v1")
(CORE,) = (each for each in core_tables() if each.name == "core__erp_payment")
# A row: which payment, which version of it, whether it is deleted, whether it keeps its promises.
ROW = st.tuples(st.integers(0, 4), st.integers(1, 3), st.booleans(), st.booleans())


def row(payment: int, version: int, *, deleted: bool, is_good: bool) -> dict[str, object]:
    return valid_row(
        CONTRACT,
        payment_id=f"P{payment}",
        updated_at=f"2024-06-0{version}T00:00:00Z",
        bank_reference=f"v{version}",
        payee_uscc="91330523719500014U" if is_good else "91330523719500014X",
        _op="delete" if deleted else "upsert",
    )


def batches(rows: list[dict[str, object]], cuts: set[int]) -> list[Record]:
    """Cut rows into numbered batches."""
    edges = [0, *sorted(cut for cut in cuts if 0 < cut < len(rows)), len(rows)]
    return [
        record_of(CONTRACT, rows[first:end], sequence=number)
        for number, (first, end) in enumerate(pairwise(edges), 1)
    ]


def landed(county: County) -> Counter[str]:
    columns = ("payment_id", "updated_at", "_op", "_sequence", "_row", "_record_digest")
    return Counter(repr([each[name] for name in columns]) for each in county.landed())


def current(county: County) -> list[dict[str, object]]:
    """Give the objects as they stand, without their places on the bus."""
    source = county.store.open(CONTRACT.table).dataset()
    found = DuckEngine().run(CORE.query, {CONTRACT.table: source})
    names = [each.name for each in CONTRACT.properties]
    rows: list[dict[str, object]] = found.select(names).sort_by("payment_id").to_pylist()
    return rows


@dataclass(frozen=True)
class Play:
    """Rows, how they are cut, which batches come again and after which one, and the pauses."""

    rows: list[tuple[int, int, bool, bool]]
    cuts: set[int]
    again: list[tuple[int, int]]
    pauses: set[int]
    commit_rows: int

    def sent(self) -> list[Record]:
        return batches([row(p, v, deleted=d, is_good=g) for p, v, d, g in self.rows], self.cuts)

    def order(self) -> list[int]:
        """Number the batches in the order in which they come: each once, then some again."""
        count = len(self.sent())
        played = list(range(count))
        for number, later in self.again:
            copy = number % count
            first = played.index(copy) + 1
            played.insert(first + later % (len(played) - first + 1), copy)
        return played


PLAYS = st.builds(
    Play,
    rows=st.lists(ROW, min_size=1, max_size=12),
    cuts=st.sets(st.integers(1, 11)),
    again=st.lists(st.tuples(st.integers(0, 11), st.integers(0, 20)), max_size=6),
    pauses=st.sets(st.integers(0, 18)),
    commit_rows=st.integers(1, 8),
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
@given(PLAYS)
def test_order_repeats_and_pauses_change_nothing(play: Play) -> None:
    sent = play.sent()
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        quiet = County(Path(one))
        quiet.send(*sent)
        quiet.land()
        loud = County(Path(other), land=LandSettings(commit_rows=play.commit_rows))
        for place, number in enumerate(play.order()):
            loud.send(sent[number])
            if place in play.pauses:
                loud.land()
        loud.land()
        assert landed(loud) == landed(quiet)
        assert sorted(map(str, loud.reasons())) == sorted(map(str, quiet.reasons()))
        assert current(loud) == current(quiet)
        claims = [int(dict(each.headers)["ce_rowcount"]) for each in sent]
        produced = sum(claims[number] for number in play.order())
        assert len(loud.landed()) + len(loud.reasons()) + loud.repeats() == produced


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
@given(
    given_rows=st.lists(ROW, min_size=1, max_size=12, unique_by=lambda each: each[:2]),
    one_way=st.sets(st.integers(1, 11)),
    another=st.sets(st.integers(1, 11)),
)
def test_how_rows_are_cut_into_batches_changes_no_object(
    given_rows: list[tuple[int, int, bool, bool]], one_way: set[int], another: set[int]
) -> None:
    rows = [row(p, v, deleted=d, is_good=g) for p, v, d, g in given_rows]
    found = []
    for cuts in (one_way, another):
        with tempfile.TemporaryDirectory() as folder:
            county = County(Path(folder))
            county.send(*batches(rows, cuts))
            county.land()
            found.append((current(county), sorted(map(str, county.reasons()))))
    assert found[0] == found[1]
