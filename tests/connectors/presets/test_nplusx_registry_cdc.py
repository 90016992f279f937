"""The registry followed by its log gives the rows that kind sql reads, and goes on with changes."""

from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from connectors.base import Source
from connectors.kinds.cdc import CdcSource
from connectors.kinds.sql import SqlSource
from connectors.registry import find, open_source
from kernel.ids import SourceId
from tests.connectors.presets.test_nplusx_registry import filled
from tests.connectors.reading import read_all

pytestmark = pytest.mark.real_system


def test_the_log_gives_what_the_tables_hold(postgres, tmp_path: Path) -> None:
    url = filled(postgres.fresh())
    with psycopg.connect(url) as db:
        db.execute(
            "create publication nplusx for table retrofit_project, claim_line, acceptance,"
            " scale_listing"
        )
    name = SourceId("registry")
    asked = open_source(Source(name, "nplusx_registry", SqlSource(url), memory=tmp_path))
    followed = open_source(Source(name, "nplusx_registry_cdc", CdcSource(url)))
    cursors = {}
    plans = find("nplusx_registry").streams, find("nplusx_registry_cdc").streams
    for plain, logged in zip(*plans, strict=True):
        assert (plain.contract, plain.version) == (logged.contract, logged.version)
        rows, _ = read_all(asked, plain)
        told, cursors[logged.contract] = read_all(followed, logged)
        assert rows
        assert sorted(map(repr, told)) == sorted(map(repr, rows))
    with psycopg.connect(url) as db:
        db.execute("update acceptance set updated_at = '2025-01-02 10:00+08'")
        db.execute("delete from claim_line where line_no = 1")
    changed = {
        plan.contract: read_all(followed, plan, cursors[plan.contract])[0] for plan in plans[1]
    }
    assert {name: [row["_op"] for row in rows] for name, rows in changed.items() if rows} == {
        "retrofit.acceptance.v1": ["upsert"], "retrofit.invoice_line.v1": ["delete"],
    }  # fmt: skip
    (row,) = changed["retrofit.acceptance.v1"]
    assert row["updated_at"] == datetime(2025, 1, 2, 2, tzinfo=UTC)
    asked.close()
    followed.close()
