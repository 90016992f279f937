"""A key is changed while rows flow: none is refused, lost or doubled."""

import re
from contextlib import closing
from pathlib import Path

import pytest

from bus.kafka import KafkaBus
from bus.topics import topic_of
from connectors.registry import find
from contracts.loader import find as find_contract
from pipeline import wiring
from pipeline.land import land
from pipeline.publish import Agent
from pipeline.rounds import RoundReport
from pipeline.settings import read_settings
from tests.broker import running_broker
from tests.flow.bad_input.command import Shell
from tests.pipeline.site import USCC, Site

_CONTRACT = "retrofit.invoice_line.v1"
_AUTHORITY = ("--name", "某局", "--kind", "authority", "--region", "330523")


def done(shell: Shell, *words: str) -> str:
    told = shell(*words)
    assert told.code == 0, told.err
    return told.out


@pytest.mark.kafka
def test_a_key_is_changed_while_rows_flow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shell: Shell
) -> None:
    monkeypatch.setenv("NPLUSX_STATE_DIR", str(tmp_path / "state"))
    site = Site(tmp_path)
    keys = site.file.parent
    (tmp_path / "kafka").mkdir()

    def new_key(name: str, *since: str) -> str:
        made = done(shell, "agent", "key", str(keys / name))
        done(shell, "registry", "key", "county", str(keys / f"{name}.pub"), *since)
        return re.findall(r"key id +(\S+)", made)[0]

    def one_round(lines: int, start: int) -> RoundReport:
        site.fill(lines, start=start + 1)
        settings = read_settings()
        with (
            closing(wiring.bus(settings)) as bus,
            closing(Agent(site.config, bus, settings)) as agent,
        ):
            return agent.round()

    with running_broker(tmp_path / "kafka") as broker:
        monkeypatch.setenv("NPLUSX_KAFKA_BOOTSTRAP_SERVERS", broker.bootstrap)
        with closing(KafkaBus(broker.bootstrap, 1, 1, 15.0)) as bus:
            bus.ensure_topics([topic_of(each.contract) for each in find("nplusx_registry").streams])
        done(shell, "registry", "enterprise", USCC, *_AUTHORITY)
        done(shell, "registry", "agent", "county", "--enterprise", USCC)
        old = new_key("old.key", "--from", "2020-01-01T00:00:00+00:00")
        site.file.write_text(site.file.read_text("utf-8").replace("agent.key", "old.key"), "utf-8")
        assert one_round(20, 0).is_clean
        broker.stop()
        assert one_round(10, 20).key_id == old
        # Registered before its first use; what waits is signed by it too.
        new = new_key("next.key")
        site.file.write_text(site.file.read_text("utf-8").replace("old.key", "next.key"), "utf-8")
        assert any(each.pending for each in one_round(10, 30).streams)
        assert f"signed with {new}" in shell("agent", "status", str(site.file)).out
        # The old one ends, or is found stolen, while what it signed waits.
        done(shell, "registry", "end", old)
        broker.start()
        assert one_round(10, 40).is_clean
        assert one_round(10, 50).is_clean
        facts = land(_CONTRACT)
    assert (facts["rows_in"], facts["rows_landed"]) == (60, 60)
    table = wiring.store(read_settings()).open(find_contract(_CONTRACT).table).dataset()
    assert sorted(table.to_table(["line_no"])["line_no"].to_pylist()) == list(range(1, 61))
