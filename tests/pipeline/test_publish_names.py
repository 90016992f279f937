"""Publish: names of persons leave a factory covered, or not at all."""

from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pytest

from bus.memory import MemoryBus
from connectors.base import StreamPlan
from kernel.errors import ConfigurationError
from kernel.ids import ContractId
from pipeline.publish import Agent
from pipeline.settings import read_settings
from tests.pipeline.test_publish import KEY, Site


def test_names_of_persons_leave_covered_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NPLUSX_STATE_DIR", str(tmp_path))
    site, bus = Site(tmp_path), MemoryBus()
    (source,) = site.config.sources
    mapping = "select worker as worker_code, _op from rows"
    plan = StreamPlan(ContractId("mes.operation_report.v1"), "1.1.0", mapping, None)
    rows = pa.table({"worker": ["张三"]})
    with (
        closing(Agent(site.config, bus, read_settings())) as bare,
        pytest.raises(ConfigurationError, match="worker_code names persons"),
    ):
        bare._mapped(rows, source, plan)
    (site.file.parent / "names.key").write_text(KEY.text)
    told = site.file.read_text("utf-8")
    site.file.write_text(told.replace("agent:\n", "agent:\n  pseudonym_key: names.key\n"), "utf-8")
    with closing(Agent(site.config, bus, read_settings())) as covering:
        (name,) = covering._mapped(rows, source, plan)["worker_code"].to_pylist()
    assert str(name).startswith("hmac:")
    assert "张三" not in str(name)
