"""A full disk, or what the outbox may take of it: told, survived, and over by itself."""

import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from bus.envelope import read as read_envelope
from bus.memory import MemoryBus
from bus.outbox import _SPARE, Outbox
from bus.ports import Sender
from bus.topics import topic_of
from kernel.errors import DependencyUnavailableError
from kernel.ids import ContractId
from pipeline import publish
from pipeline.publish import Agent, run_agent
from pipeline.rounds import read_status
from pipeline.settings import read_settings
from tests.bus.test_outbox import STREAM, encoded
from tests.flow.bad_input.command import Shell
from tests.pipeline.site import CONTRACTS, Site
from tests.pipeline.test_publish import received, rows_of

_LINES = "retrofit.invoice_line.v1"


class Switch(MemoryBus):
    """A bus that is away while it is switched off."""

    is_on = False

    def sender(self) -> Sender:
        if not self.is_on:
            raise DependencyUnavailableError("Kafka does not answer")
        return super().sender()


@pytest.fixture
def bus() -> Switch:
    made = Switch()
    made.ensure_topics([topic_of(ContractId(each)) for each in CONTRACTS])
    return made


@pytest.fixture
def disk(site: Site) -> Iterator[Path]:
    """A disk of its own for the outbox, and a small one."""
    place = site.file.parent / "disk"
    place.mkdir()
    mount = ["/bin/mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(place)]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only an administrator may mount a small disk")
    write(site, "outbox: outbox.sqlite", "outbox: disk/outbox.sqlite")
    yield place
    subprocess.run(["/bin/umount", str(place)], check=True)


def write(site: Site, old: str, new: str) -> None:
    site.file.write_text(site.file.read_text("utf-8").replace(old, new), "utf-8")


def crowd(path: Path, spare: int = 0) -> None:
    """Fill what is left of a disk, but for a little."""
    with path.open("wb", buffering=0) as file:
        with suppress(OSError):
            while True:
                file.write(bytes(4096))
        file.truncate(file.tell() - spare)


def arrived(bus: MemoryBus) -> list[object]:
    """Give the lines that came, each record once: a repeat bears its number again."""
    records = {read_envelope(each).sequence: each for each in received(bus, _LINES)}
    assert sorted(records) == list(range(1, len(records) + 1))
    return [
        row["line_no"] for each in sorted(records) for row in rows_of(records[each].value or b"")
    ]


def test_an_outbox_at_its_cap_alarms_and_goes_on_alone(
    site: Site, bus: Switch, shell: Shell
) -> None:
    write(site, "outbox: outbox.sqlite", "outbox: outbox.sqlite\n  outbox_bytes: 104858")
    site.fill(200)
    with closing(Agent(site.config, bus, read_settings())) as agent:
        kept = agent.round().streams[1].rows_read
        assert 0 < kept < 200
        agent.round()
        told = shell("agent", "status", str(site.file))
        assert told.code == 1
        assert "The outbox is full" in told.err
        assert "bring back what takes" in told.err
        assert "of 0.1 MiB" in told.out
        bus.is_on = True
        while not agent.round().is_clean:
            pass
        assert arrived(bus) == list(range(200))
    assert shell("agent", "status", str(site.file)).code == 0


def test_a_disk_that_what_waits_has_filled_is_emptied_by_sending(disk: Path) -> None:
    with closing(Outbox(disk / "o.sqlite", None)) as box:

        def put_on() -> None:
            for n in range(99):
                box.put(STREAM, [encoded(os.urandom(300_000))], str(n))

        with pytest.raises(DependencyUnavailableError, match="disk is full"):
            put_on()
        assert box.states()[STREAM.id].pending > 5
        while waiting := box.pending(2):
            box.mark_sent([each.id for each in waiting])
        box.put(STREAM, [encoded(os.urandom(300_000))], "on")


def test_a_full_disk_ends_nothing_and_loses_nothing(
    site: Site, bus: Switch, disk: Path, shell: Shell
) -> None:
    site.fill(300)
    with closing(Agent(site.config, bus, read_settings())) as agent:
        crowd(disk / "others", spare=_SPARE + 200_000)
        report = agent.round()
        assert 0 < report.streams[1].rows_read < 300
        assert "full" in report.streams[1].error
        assert "make room on the disk" in report.streams[1].error
        crowd(disk / "more")
        agent.round()
        # No room for a new file, and yet it is told.
        told = read_status(site.config)
        assert told is not None
        assert told.started_at > report.finished_at
        assert "make room on the disk" in shell("agent", "status", str(site.file)).err
        bus.is_on = True
        agent.round()
        # Somebody makes room, and nobody starts the agent anew.
        for each in ("others", "more"):
            (disk / each).unlink()
        while not agent.round().is_clean:
            pass
        assert arrived(bus) == list(range(300))


def test_what_stays_wrong_is_logged_once_and_again_after_a_while(
    site: Site, bus: Switch, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(publish, "_pause", lambda *_: 0.0)
    site.fill(3)

    def lines(rounds: int) -> int:
        stop, left = threading.Event(), list(range(rounds))

        def wait(*_: object) -> None:
            left.pop()
            if not left:
                stop.set()

        monkeypatch.setattr(publish, "_wait", wait)
        run_agent(site.file, stop, bus)
        return "".join(capfd.readouterr()).count("Kafka does not answer")

    monkeypatch.setattr(publish, "_TELL_SECONDS", 3600.0)
    assert lines(5) == 1
    monkeypatch.setattr(publish, "_TELL_SECONDS", -1.0)
    assert lines(5) == 5
