"""Trouble that nobody foresaw ends no agent; what somebody mended meanwhile is used at once."""

import threading
from contextlib import closing

import pytest

from bus.memory import MemoryBus
from bus.ports import Record
from bus.topics import topic_of
from kernel.ids import ContractId
from pipeline.publish import Agent
from pipeline.settings import read_settings
from tests.pipeline.commands.test_full_disk import Switch
from tests.pipeline.site import CONTRACTS, Site


class Odd(MemoryBus):
    """Fails as nobody foresaw, or is told to stop by the first record."""

    stop: threading.Event | None = None

    def append(self, record: Record) -> str:
        if self.stop is None:
            raise ValueError("of a library")
        self.stop.set()
        return super().append(record)


@pytest.fixture
def odd() -> Odd:
    made = Odd()
    made.ensure_topics([topic_of(ContractId(each)) for each in CONTRACTS])
    return made


def test_what_nobody_foresaw_of_sending_ends_no_agent(site: Site, odd: Odd) -> None:
    site.fill(3)
    with closing(Agent(site.config, odd, read_settings())) as agent:
        report = agent.round()
        assert "ValueError" in report.error
        assert report.streams[1].pending == 1
        odd.stop = threading.Event()
        assert agent.round().is_clean


def test_who_is_told_to_stop_leaves_a_long_backlog_for_later(site: Site, odd: Odd) -> None:
    site.fill(200)
    with closing(Agent(site.config, Switch(), read_settings())) as agent:
        assert agent.round().streams[1].pending == 20
    odd.stop = threading.Event()
    with closing(Agent(site.config, odd, read_settings())) as agent:
        assert agent.round(odd.stop).streams[1].pending == 16


def test_a_source_s_corrected_address_is_used_without_a_new_start(site: Site, odd: Odd) -> None:
    odd.stop = threading.Event()
    site.fill(3)
    right = site.file.read_text("utf-8")
    site.file.write_text(right.replace(str(site.database), "/nowhere.sqlite"), "utf-8")
    with closing(Agent(site.config, odd, read_settings())) as agent:
        assert "nowhere.sqlite" in agent.round().streams[1].error
        site.file.write_text(right, "utf-8")
        assert "nowhere.sqlite" in agent.round().streams[1].error
        report = agent.round()
        assert (report.is_clean, report.streams[1].rows_read) == (True, 3)
