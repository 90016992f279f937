"""The outbox loses nothing, doubles nothing, and is held by one process."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bus.envelope import read
from bus.outbox import Encoded, Outbox, OutboxFullError
from bus.ports import Received
from kernel import canonical, clock
from kernel.errors import ConfigurationError, DependencyUnavailableError
from kernel.evidence import SigningKey
from kernel.ids import AgentId, ContractId, EnterpriseId, SourceId, Stream
from pipeline.settings import ROOT

STREAM = Stream(
    EnterpriseId("91330523719500014U"),
    AgentId("agent"),
    SourceId("u8"),
    ContractId("erp.sales_order.v1"),
)
OTHER = Stream(STREAM.enterprise, STREAM.agent, STREAM.source, ContractId("erp.payment.v1"))
KEY = SigningKey.from_text("A" * 43 + "=", "test")


def encoded(body: bytes, rows: int = 1) -> Encoded:
    return Encoded("1.0.0", "application/json", body, rows)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "agent" / "outbox.sqlite"


def test_numbers_run_without_holes_and_records_are_sealed(path: Path) -> None:
    box = Outbox(path, KEY)
    box.put(STREAM, [encoded(b"a", 2), encoded(b"b", 3)], "one")
    box.put(OTHER, [encoded(b"x")], "other")
    box.put(STREAM, [encoded(b"c", 5)], "two")
    mine = [each for each in box.pending(10) if each.stream == STREAM.id]
    assert [each.record.value for each in mine] == [b"a", b"b", b"c"]
    for number, each in enumerate(mine, 1):
        received = Received.of(
            (each.record.topic, 0, 0),
            clock.now(),
            each.record.key,
            each.record.value,
            each.record.headers,
        )
        envelope = read(received)
        assert envelope.faults == ()
        assert envelope.sequence == number
        assert envelope.epoch == box.epoch
        assert envelope.body_digest == canonical.digest(each.record.value)
        assert envelope.is_signed_by(KEY.public)
    assert box.cursor(STREAM.id) == "two"
    assert box.states()[STREAM.id].rows == 10
    assert box.states()[STREAM.id].pending == 3
    box.close()


def test_the_disk_is_given_back_when_nothing_waits(path: Path) -> None:
    box = Outbox(path, KEY)
    box.put(STREAM, [encoded(os.urandom(1 << 20)) for _ in range(20)], "one")
    box.mark_sent([each.id for each in box.pending(15)])
    box.mark_sent([each.id for each in box.pending(15)])
    box.close()
    assert path.stat().st_size < 1 << 20


def test_what_was_sent_is_forgotten_and_numbers_go_on_after_a_restart(path: Path) -> None:
    box = Outbox(path, KEY)
    epoch = box.epoch
    box.put(STREAM, [encoded(b"a"), encoded(b"b")], "one")
    box.mark_sent([box.pending(1)[0].id])
    box.close()
    box = Outbox(path, KEY)
    assert box.epoch == epoch
    assert [each.record.value for each in box.pending(9)] == [b"b"]
    box.put(STREAM, [encoded(b"c")], "two")
    sequences = [dict(each.record.headers)["ce_sequence"] for each in box.pending(9)]
    assert [int(each) for each in sequences] == [2, 3]
    box.close()


def test_a_new_outbox_starts_a_new_epoch(tmp_path: Path) -> None:
    boxes = [Outbox(tmp_path / name, None) for name in ("a", "b")]
    assert boxes[0].epoch != boxes[1].epoch
    for box in boxes:
        box.close()


def test_a_long_backlog_of_one_stream_does_not_hide_another(path: Path) -> None:
    box = Outbox(path, None)
    box.put(STREAM, [encoded(b"a")] * 50, "one")
    box.put(OTHER, [encoded(b"x")], "other")
    assert {each.stream for each in box.pending(4)} == {STREAM.id, OTHER.id}
    assert len(box.pending(4)) == 5
    box.close()


def test_what_waits_is_signed_by_the_key_of_today(path: Path) -> None:
    box = Outbox(path, KEY)
    box.put(STREAM, [encoded(b"a")], "one")
    (before,) = box.pending(9)
    box.close()
    other = SigningKey.from_text("B" * 42 + "A=", "test")
    box = Outbox(path, other)
    box.put(STREAM, [encoded(b"c")], "two")
    after, _ = sent = box.pending(9)
    for each in sent:
        came = Received(
            each.record.topic, 0, 0, 0, each.record.key, each.record.value, each.record.headers
        )
        assert read(came).is_signed_by(other.public)
        assert not read(came).is_signed_by(KEY.public)
    # Nothing else of it is another: landing must know a repeat.
    kept = [
        [text for text in each.record.headers if text[0] not in ("ce_keyid", "ce_signature")]
        for each in (before, after)
    ]
    assert kept[0] == kept[1]
    assert before.record.value == after.record.value
    box.close()


def test_a_full_outbox_refuses_rows_and_keeps_the_cursor(path: Path) -> None:
    box = Outbox(path, None, limit_bytes=1 << 20)
    box.put(STREAM, [encoded(bytes(800_000))], "one")
    with pytest.raises(OutboxFullError, match="nothing is dropped"):
        box.put(STREAM, [encoded(bytes(800_000))], "two")
    assert box.cursor(STREAM.id) == "one"
    box.mark_sent([each.id for each in box.pending(9)])
    # A page that is larger than the cap is none of those that wait for ever.
    box.put(STREAM, [encoded(bytes(2_000_000))], "two")
    with pytest.raises(OutboxFullError, match="a page of 1 comes"):
        box.put(STREAM, [encoded(b"a")], "three")
    assert box.states()[STREAM.id].batches == 2
    box.close()


def test_a_second_holder_is_refused(path: Path) -> None:
    box = Outbox(path, None)
    with pytest.raises(DependencyUnavailableError, match="stop the other agent"):
        Outbox(path, None)
    box.close()
    Outbox(path, None).close()


def test_a_file_that_is_no_outbox_is_named(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database " * 100)
    with pytest.raises(ConfigurationError, match="not an outbox"):
        Outbox(path, None)


def test_an_outbox_of_a_newer_version_is_refused(path: Path) -> None:
    box = Outbox(path, None)
    box._db.execute("pragma user_version = 9")
    box.close()
    with pytest.raises(ConfigurationError, match="newer version"):
        Outbox(path, None)


def test_a_failure_in_the_middle_leaves_nothing_behind(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = Outbox(path, None)
    box.put(STREAM, [encoded(b"a")], "one")
    calls: list[int] = []

    def failing(*_: object) -> object:
        calls.append(1)
        raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr("bus.outbox.seal", failing)
        with pytest.raises(RuntimeError):
            box.put(STREAM, [encoded(b"b")], "two")
    assert calls
    assert box.cursor(STREAM.id) == "one"
    assert len(box.pending(9)) == 1
    box.close()


# Puts batch n with cursor n and sends some, for ever; a line on standard output after each step.
_WRITER = """
import sys
from pathlib import Path
from bus.outbox import Encoded, Outbox
from tests.bus.test_outbox import STREAM
box = Outbox(Path(sys.argv[1]), None)
n = int(box.cursor(STREAM.id) or 0)
while True:
    n += 1
    box.put(STREAM, [Encoded("1.0.0", "application/json", b"%d" % n, 1)] * 3, str(n))
    if n % 4 == 0:
        box.mark_sent([each.id for each in box.pending(2)])
    print(n, flush=True)
"""


def test_a_kill_at_any_moment_keeps_cursor_and_numbers_together(path: Path) -> None:
    for steps in (1, 2, 7, 12, 23):
        writer = subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(path)], cwd=ROOT, stdout=subprocess.PIPE
        )
        assert writer.stdout is not None
        for _ in range(steps):
            line = writer.stdout.readline()
        os.kill(writer.pid, signal.SIGKILL)
        writer.wait(10)
        writer.stdout.close()
        box = Outbox(path, None)
        cursor = int(box.cursor(STREAM.id) or 0)
        assert cursor >= int(line)
        state = box.states()[STREAM.id]
        assert state.batches == cursor * 3
        waiting = [
            (int(dict(each.record.headers)["ce_sequence"]), int(each.record.value))
            for each in box.pending(10_000)
        ]
        # Every number that waits carries the rows it was given, up to the last, without a hole.
        assert waiting == [(n, (n + 2) // 3) for n in range(waiting[0][0], cursor * 3 + 1)]
        box.close()
