"""From a logged table to a landed one: agents that die at any put, and a source that writes on."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from bus.outbox import Outbox
from bus.topics import topic_of
from connectors.config import load_agent
from connectors.registry import find
from contracts.loader import find as find_contract
from pipeline.publish import Agent, RoundReport
from tests.connectors.machines.landing import landed
from tests.connectors.presets.test_nplusx_registry import filled
from tests.pipeline.world import AGENTS, AUTHORITY, KEYS, World

pytestmark = pytest.mark.real_system
LISTED = "gov.enterprise.v1"


class KilledError(BaseException):
    """Ends an agent as a kill does: nothing of ours catches it."""


def dying(put: Callable[..., None], left: int, *, after: bool) -> Callable[..., None]:
    """Make a put die, before or after it is done, when so many more were made."""
    puts = iter(range(left))

    def instead(self: Outbox, *given: object) -> None:
        lives = next(puts, None) is not None
        if lives or after:
            put(self, *given)
        if not lives:
            raise KilledError

    return instead


def test_none_is_lost_and_none_doubled_whenever_the_agent_dies(
    postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, url = World(tmp_path, monkeypatch), filled(postgres.fresh())
    contracts = [plan.contract for plan in find("nplusx_registry_cdc").streams]
    world.bus.ensure_topics([topic_of(find_contract(each).id) for each in contracts])
    with psycopg.connect(url) as db:
        db.execute("create publication nplusx for all tables")
        # A hundred more, as the first; a long transaction later on.
        db.execute(
            "insert into scale_listing (enterprise_uscc, list_year, name, region_code, "
            "industry_code, is_above_scale, updated_at) select distinct on (n) enterprise_uscc, n, "
            "name, region_code, industry_code, is_above_scale, updated_at "
            "from scale_listing, generate_series(2025, 2094) as n"
        )
    (tmp_path / "agent.key").write_text(KEYS[AUTHORITY].text)
    file = tmp_path / "county.yaml"
    file.write_text(
        f"agent: {{id: {AGENTS[AUTHORITY]}, enterprise: {AUTHORITY}, key_file: agent.key, "
        "outbox: county.sqlite}\nsources:\n- id: registry\n  preset: nplusx_registry_cdc\n"
        f"  url: {url}\n  page_rows: 30\n",
        "utf-8",
    )

    def run() -> RoundReport:
        agent = Agent(load_agent(file), world.bus, world.settings)
        try:
            return agent.round()
        finally:
            agent.close()

    put = Outbox.put
    for turn in range(12):
        monkeypatch.setattr(Outbox, "put", dying(put, turn // 2, after=turn % 2 == 1))
        with suppress(KilledError):
            run()
    monkeypatch.setattr(Outbox, "put", put)
    assert run().is_clean
    assert len(landed(world, LISTED)) == 72
    with psycopg.connect(url) as db:
        db.execute("update scale_listing set name = '改名' where list_year >= 2025")
        db.execute("delete from scale_listing where list_year = 2032")
    for turn in range(4):
        monkeypatch.setattr(Outbox, "put", dying(put, 1 + turn // 2, after=turn % 2 == 1))
        with suppress(KilledError):
            run()
    monkeypatch.setattr(Outbox, "put", put)
    report = run()
    assert report.is_clean, report
    rows = landed(world, LISTED)
    assert len(rows) == 143
    changed = [row for row in rows[72:] if row["_op"] == "upsert"]
    assert {row["name"] for row in changed} == {"改名"}
    assert {row["list_year"] for row in changed} == set(range(2025, 2095))
    assert [row["list_year"] for row in rows if row["_op"] == "delete"] == [2032]
