"""Publish: names of persons leave covered or not at all; what nobody foresaw ends no agent."""

import struct
import zlib
from contextlib import closing
from pathlib import Path
from zipfile import BadZipFile

import pyarrow as pa
import pytest

from bus.memory import MemoryBus
from bus.topics import topic_of
from connectors.base import Page, StreamPlan
from connectors.kinds.sql import SqlConnector, SqlStream
from kernel.errors import ConfigurationError
from kernel.ids import ContractId
from pipeline.publish import Agent
from pipeline.settings import read_settings
from pipeline.sources import contract_rows
from tests.pipeline.site import CONTRACTS, KEY, Site


def test_names_of_persons_leave_covered_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Site(tmp_path)
    (source,) = site.config.sources
    mapping = "select worker as worker_code, _op from rows"
    plan = StreamPlan(ContractId("mes.operation_report.v1"), "1.1.0", mapping, None)
    rows = pa.table({"worker": ["张三"]})
    with pytest.raises(ConfigurationError, match="worker_code names persons"):
        contract_rows(rows, source, plan, None)
    monkeypatch.setenv("NPLUSX_STATE_DIR", str(tmp_path))
    (site.file.parent / "names.key").write_text(KEY.text)
    told = site.file.read_text("utf-8")
    site.file.write_text(told.replace("agent:\n", "agent:\n  pseudonym_key: names.key\n"), "utf-8")
    with closing(Agent(site.config, MemoryBus(), read_settings())) as covering:
        covered = contract_rows(rows, source, plan, covering._pseudonyms)
    (name,) = covered["worker_code"].to_pylist()
    assert str(name).startswith("hmac:")
    assert "张三" not in str(name)


@pytest.mark.parametrize("raised", [OverflowError, struct.error, zlib.error, BadZipFile])
def test_what_nobody_foresaw_in_one_stream_is_told_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, raised: type[Exception]
) -> None:
    monkeypatch.setenv("NPLUSX_STATE_DIR", str(tmp_path))
    site, bus = Site(tmp_path), MemoryBus()
    bus.ensure_topics([topic_of(ContractId(each)) for each in CONTRACTS])
    site.fill(3)
    real = SqlConnector.read

    def odd(self: SqlConnector, plan: StreamPlan[SqlStream], cursor: str | None) -> Page:
        if plan.contract == CONTRACTS[0]:
            raise raised("张三")
        return real(self, plan, cursor)

    monkeypatch.setattr(SqlConnector, "read", odd)
    with closing(Agent(site.config, bus, read_settings())) as agent:
        report = agent.round()
        assert {each.contract: each.rows_read for each in report.streams}[CONTRACTS[1]] == 3
        (error,) = [each.error for each in report.streams if each.error]
        assert raised.__name__ in error
        assert "张三" not in error
        monkeypatch.setattr(SqlConnector, "read", real)
        assert agent.round().is_clean
