"""Reads a connector as an agent does: page by page, each mapped, to the end of a pass."""

import pyarrow as pa

from connectors.base import ZONE, Connector, Page, StreamPlan
from connectors.mapping import map_rows


def mapped(page: Page, plan: StreamPlan[object], zone: str = ZONE) -> pa.Table | None:
    """Give a page's rows in contract columns, if it has any."""
    return None if page.rows is None else map_rows(page.rows, plan, zone)


def read_all(
    connector: Connector[object],
    plan: StreamPlan[object],
    cursor: str | None = None,
    zone: str = ZONE,
) -> tuple[list[dict[str, object]], str]:
    """Read a pass to its end; give the rows and the cursor behind them."""
    rows: list[dict[str, object]] = []
    for _ in range(500):
        page = connector.read(plan, cursor)
        cursor = page.cursor
        if (table := mapped(page, plan, zone)) is not None:
            rows += table.to_pylist()
        if not page.more:
            return rows, cursor
    raise AssertionError("the pass never ends")
