"""Measure: the long table of metrics, each with unit, as-of and the versions that it read."""

from decimal import Decimal

from kernel import canonical
from pipeline.measure import measure
from tests.pipeline.world import World
from tests.rows import FACTORY


def test_on_time_delivery_counts_what_is_due(played: World) -> None:
    rows = played.store.open("metric").dataset().to_table().to_pylist()
    # The memory bus stands at the first of January 2024: only the line of 2019 is due, and late.
    assert [(each["subject"], each["period"], each["value"]) for each in rows] == [
        (FACTORY, "2019-12", Decimal(0))
    ]
    (only,) = rows
    assert (only["metric"], only["class"], only["unit"]) == (
        "on_time_delivery",
        "official",
        "ratio",
    )
    assert only["as_of"].year == 2024
    reads = canonical.loads(only["versions"])
    assert set(reads) == {"mart__order_line_delivery", "core__erp_delivery"}


def test_measuring_again_changes_nothing(played: World) -> None:
    version = played.store.open("metric").version
    assert measure()["table_version"] == version
