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
from pipeline.publish import Agent, RoundReport, backfill
from tests.connectors.machines.landing import landed
from tests.connectors.presets.test_nplusx_registry import filled
from tests.pipeline.world import AGENTS, AUTHORITY, KEYS, World
from tests.servers import PASSWORD

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


class Office:
    """A registry that is followed, and an agent that may die."""

    def __init__(self, world: World, folder: Path, url: str, patch: pytest.MonkeyPatch) -> None:
        self._world, self._file, self._url, self._patch = world, folder / "county.yaml", url, patch
        contracts = [plan.contract for plan in find("nplusx_registry_cdc").streams]
        world.bus.ensure_topics([topic_of(find_contract(each).id) for each in contracts])
        (folder / "agent.key").write_text(KEYS[AUTHORITY].text)
        patch.setenv("NPLUSX_OFFICE", PASSWORD)
        told = url.replace(PASSWORD, "${NPLUSX_OFFICE}")
        self._file.write_text(
            f"agent: {{id: {AGENTS[AUTHORITY]}, enterprise: {AUTHORITY}, key_file: agent.key, "
            "outbox: county.sqlite}\nsources:\n- id: registry\n  preset: nplusx_registry_cdc\n"
            f"  url: {told}\n  page_rows: 30\n",
            "utf-8",
        )

    def run(self, *texts: str) -> None:
        with psycopg.connect(self._url) as db:
            for text in texts:
                db.execute(text)

    def round(self) -> RoundReport:
        agent = Agent(load_agent(self._file), self._world.bus, self._world.settings)
        try:
            return agent.round()
        finally:
            agent.close()

    def rewind(self) -> None:
        backfill(load_agent(self._file), [])

    def die(self, times: int) -> None:
        """Die so often: before the first put, after it, before the second and so on."""
        for turn in range(times):
            with self._patch.context() as patch, suppress(KilledError):
                patch.setattr(Outbox, "put", dying(Outbox.put, turn // 2, after=turn % 2 == 1))
                self.round()


def test_none_is_lost_and_none_doubled_whenever_the_agent_dies(
    postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, url = World(tmp_path, monkeypatch), filled(postgres.fresh())
    office = Office(world, tmp_path, url, monkeypatch)
    office.run(
        "create publication nplusx for all tables",
        "insert into scale_listing (enterprise_uscc, list_year, name, region_code, "
        "industry_code, is_above_scale, updated_at) select distinct on (n) enterprise_uscc, n, "
        "name, region_code, industry_code, is_above_scale, updated_at "
        "from scale_listing, generate_series(2025, 2094) as n",
    )
    office.die(12)
    assert office.round().is_clean
    assert len(landed(world, LISTED)) == 72
    office.run(
        "update scale_listing set name = '改名' where list_year >= 2025",
        "delete from scale_listing where list_year = 2032",
    )
    office.die(8)
    assert office.round().is_clean
    rows = landed(world, LISTED)
    assert len(rows) == 143
    changed = [row for row in rows[72:] if row["_op"] == "upsert"]
    assert {row["name"] for row in changed} == {"改名"}
    assert {row["list_year"] for row in changed} == set(range(2025, 2095))
    assert [row["list_year"] for row in rows if row["_op"] == "delete"] == [2032]


def test_a_backfill_reads_the_table_anew_and_then_its_log(
    postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, url = World(tmp_path, monkeypatch), filled(postgres.fresh())
    office = Office(world, tmp_path, url, monkeypatch)
    office.run("create publication nplusx for all tables")
    office.round()
    read = len(landed(world, LISTED))
    office.rewind()
    assert office.round().is_clean
    assert len(landed(world, LISTED)) == 2 * read
    office.run("update scale_listing set name = '改名'")
    assert office.round().is_clean
    assert len(landed(world, LISTED)) == 3 * read
