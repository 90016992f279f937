"""What a tap prints is read as meant, each row is told once, no tap outlives its agent."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from connectors.base import ZONE, Source, StreamPlan
from connectors.check import check
from connectors.kinds.singer import SingerConnector, SingerSource, SingerStream
from kernel.errors import ConfigurationError, DependencyUnavailableError
from kernel.ids import ContractId, SourceId
from pipeline.settings import ROOT
from tests.connectors.machines import tap
from tests.connectors.machines.processes import until
from tests.connectors.reading import read_all

PLAN = StreamPlan(ContractId("test.row.v1"), "1.0.0", "select * from rows", SingerStream("thing"))
FULL = replace(PLAN, how=SingerStream("thing", "full_table", keys=("id",), deletes=True))
LOG = replace(PLAN, how=SingerStream("thing", "log_based", keys=("id",)))
BY_CHANGE = replace(PLAN, how=SingerStream("thing", "incremental", "changed", ("id",)))


class Play:
    """A tap in a folder, and what it is to do."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config: dict[str, object] = {
            "seen": str(folder / "seen.json"), "script": str(folder / "script.json"),
            "password": "sesame",
        }  # fmt: skip

    def connector(self, *script: object, **options: object) -> SingerConnector:
        """Give a connector, as a new agent has it, to a tap that does this."""
        self.says(*script)
        way = SingerSource((sys.executable, tap.__file__), self.config, {}, pause_seconds=0)
        way = replace(way, **options)
        return SingerConnector(Source(SourceId("s"), "none", way, memory=self.folder / "memory"))

    def says(self, *script: object) -> None:
        (self.folder / "script.json").write_text(json.dumps(script), "utf-8")

    @property
    def seen(self) -> dict[str, object]:
        told: dict[str, object] = json.loads((self.folder / "seen.json").read_text("utf-8"))
        return told


@pytest.fixture
def play(tmp_path: Path) -> Play:
    return Play(tmp_path)


def keys(rows: Sequence[dict[str, object]]) -> list[object]:
    return [row["id"] for row in rows]


def test_a_tap_is_told_what_to_give_in_private_files(play: Play) -> None:
    state = {"at": 7.5, "currently_syncing": "thing"}
    connector = play.connector({"rows": [0, 3]}, {"state": state})
    rows, cursor = read_all(connector, BY_CHANGE)
    assert [(r["id"], r["note"], r["changed"], r["_op"]) for r in rows] == [
        ("0", "n0", None, "upsert"), ("1", "n1", None, "upsert"), ("2", "n2", None, "upsert"),
    ]  # fmt: skip
    assert (play.seen["mode"], play.seen["state"], play.seen["option"]) == (
        "0o600", None, "catalog",
    )  # fmt: skip
    (stream,) = play.seen["catalog"]["streams"]
    root = stream["metadata"][0]["metadata"]
    assert (root["selected"], root["replication-method"], root["replication-key"]) == (
        True, "INCREMENTAL", "changed",
    )  # fmt: skip
    assert all(each["metadata"]["selected"] for each in stream["metadata"])
    connector.close()
    connector = play.connector(catalog_option="properties")
    assert read_all(connector, BY_CHANGE, cursor)[0] == []
    assert (play.seen["option"], play.seen["state"]) == ("properties", {"at": 7.5})
    assert not leftovers(play)


def test_columns_in_another_order_are_the_same_row(play: Play) -> None:
    connector = play.connector({"row": {"id": "1", "extra": "x", "alas": "y"}})
    _, cursor = read_all(connector, BY_CHANGE)
    play.says({"row": {"alas": "y", "extra": "x", "id": "1"}})
    assert read_all(connector, BY_CHANGE, cursor)[0] == []
    connector.close()


def test_what_comes_again_is_told_once(play: Play) -> None:
    connector = play.connector({"rows": [0, 5]}, {"state": 4})
    rows, cursor = read_all(connector, BY_CHANGE)
    assert len(rows) == 5
    # Taps begin with the row at their bookmark.
    play.says({"rows": [4, 6]}, {"row": {"id": "4", "note": "new"}}, {"state": 5})
    rows, cursor = read_all(connector, BY_CHANGE, cursor)
    assert [(row["id"], row["note"]) for row in rows] == [("5", "n5"), ("4", "new")]
    play.says({"rows": [5, 6]}, {"state": 5})
    assert read_all(connector, BY_CHANGE, cursor)[0] == []
    connector.close()


@pytest.mark.parametrize("plan", [BY_CHANGE, FULL, LOG], ids=["by change", "full", "log"])
@pytest.mark.parametrize("killed", range(6))
def test_a_kill_behind_any_page_loses_and_doubles_nothing(
    play: Play, plan: StreamPlan[SingerStream], killed: int
) -> None:
    state, rows = {"state": "s3"}, {"rows": [3, 10]}
    connector = play.connector({"rows": [0, 3]}, state, rows, {"state": "s10"}, page_rows=2)
    cursor, found = None, []
    for _ in range(killed):
        page = connector.read(plan, cursor)
        cursor = page.cursor
        found += page.rows["id"].to_pylist() if page.rows else []
    connector.close()
    again = [{"rows": [0, 3]}, state] if len(found) < 4 else []
    connector = play.connector(*again, rows, {"state": "s10"}, page_rows=3)
    for _ in range(killed % 2):
        # And killed once more on the way.
        page = connector.read(plan, cursor)
        cursor = page.cursor
        found += page.rows["id"].to_pylist() if page.rows else []
        connector.close()
        has_passed = len(found) > 3 and json.loads(cursor)["state"]
        again = [] if has_passed else [{"rows": [0, 3]}, state]
        connector = play.connector(*again, rows, {"state": "s10"}, page_rows=3)
    rest, _ = read_all(connector, plan, cursor)
    assert found + keys(rest) == [str(n) for n in range(10)]
    connector.close()


def test_a_log_tells_a_value_that_came_back(play: Play) -> None:
    values = [{"row": {"id": "1", "note": note}} for note in ("a", "b", "a", "b", "c")]
    connector = play.connector({"state": 0}, *values, page_rows=2)
    cursor, found = None, []
    for _ in range(2):
        page = connector.read(LOG, cursor)
        cursor = page.cursor
        assert page.rows is not None
        found += page.rows["note"].to_pylist()
    connector.close()
    connector = play.connector({"state": 0}, *values)
    found += [row["note"] for row in read_all(connector, LOG, cursor)[0]]
    assert found == ["a", "b", "a", "b", "c"]
    connector.close()


def test_what_a_full_table_no_longer_holds_is_deleted(play: Play) -> None:
    connector = play.connector({"rows": [0, 5]}, page_rows=2)
    _, cursor = read_all(connector, FULL)
    # Killed in the middle, and a value goes back to what the pass before gave.
    play.says({"row": {"id": "0", "note": "x"}}, {"rows": [2, 4]})
    page = connector.read(FULL, cursor)
    assert page.rows is not None
    assert page.rows["note"].to_pylist() == ["x"]
    connector.close()
    connector = play.connector({"rows": [0, 1]}, {"rows": [2, 4]}, page_rows=2)
    rows, cursor = read_all(connector, FULL, page.cursor)
    assert sorted((str(row["id"]), row["note"], row["_op"]) for row in rows) == [
        ("0", "n0", "upsert"), ("1", None, "delete"), ("4", None, "delete"),
    ]  # fmt: skip
    play.says()
    with pytest.raises(DependencyUnavailableError, match="nothing is deleted for that"):
        read_all(connector, FULL, cursor)
    connector.close()


def test_a_row_that_says_it_is_deleted_is(play: Play) -> None:
    gone = {"id": "1", "note": "n", "_sdc_deleted_at": "2024-03-01T00:00:00Z", "_sdc_batched_at": 1}
    connector = play.connector({"row": gone}, {"row": {"id": "2", "note": "n"}})
    rows, _ = read_all(connector, PLAN)
    assert [(row["id"], row["_op"]) for row in rows] == [("1", "delete"), ("2", "upsert")]
    assert "_sdc_batched_at" not in rows[0]
    connector.close()


def test_odd_values_keep_what_they_are(play: Play) -> None:
    text = "长" * 3_500_000
    columns = ("id", "note", "数量 (件)", "a\"b'", "deep", "big", "flag", "🪑")
    schema = {"properties": {name: {} for name in columns}}
    record = (
        '{"type":"RECORD","stream":"thing","record":{"id":null,"note":"\\ud83e","数量 (件)":1.10,'
        '"deep":{"b":[1.50]},"big":123456789012345678901234567890,"flag":true,"🪑":NaN}}'
    )
    long = {"row": {"id": "2", "note": text}}
    noise = {"type": "RECORD", "stream": "other", "record": {"id": "9"}}
    connector = play.connector(
        {"type": "SCHEMA", "stream": "thing", "schema": schema, "key_properties": ["id"]},
        record, noise, {"type": "ACTIVATE_VERSION", "stream": "thing", "version": 1}, "hello",
        long,
    )  # fmt: skip
    rows, _ = read_all(connector, PLAN)
    assert len(rows) == 2
    first = rows[0]
    assert (first["id"], first["note"], first["数量 (件)"], first["deep"]) == (
        None, "?", "1.10", '{"b":["1.50"]}',
    )  # fmt: skip
    assert (first["big"], first["flag"], first["🪑"]) == (
        "123456789012345678901234567890", "true", "nan",
    )  # fmt: skip
    assert rows[1]["note"] == text
    connector.close()


def test_a_tap_s_complaint_is_told_without_secrets(play: Play) -> None:
    said = "FATAL: password sesame is wrong for postgresql://reader:pa55@db/x"
    connector = play.connector({"rows": [0, 1]}, {"complain": said}, {"exit": 3}, page_rows=1)
    page = connector.read(PLAN, None)
    with pytest.raises(DependencyUnavailableError, match="ended with code 3") as caught:
        connector.read(PLAN, page.cursor)
    assert "password *** is wrong for postgresql://***@db/x" in str(caught.value)
    play.says({"rows": [0, 2]})
    assert keys(read_all(connector, PLAN, page.cursor)[0]) == ["1"]
    connector.close()


def test_a_pass_that_breaks_off_again_and_again_keeps_each_page_once(play: Play) -> None:
    connector = play.connector({"rows": [0, 4]}, {"exit": 3}, page_rows=2)
    cursor, sizes = None, []
    for _ in range(3):
        for _ in range(2):
            cursor = connector.read(FULL, cursor).cursor
        sizes.append(len(cursor))
        with pytest.raises(DependencyUnavailableError):
            connector.read(FULL, cursor)
    assert sizes[0] == sizes[2]
    connector.close()


@pytest.mark.parametrize(
    ("options", "script", "kind", "says"),
    [
        ({"silence_seconds": 1}, [{"sleep": 60}], DependencyUnavailableError, "said nothing for 1"),
        ({"line_bytes": 70_000}, ["{" * 200_000], ConfigurationError, "more than 70000 bytes"),
        ({}, ['{"type":"RECORD","str'], DependencyUnavailableError, "no message"),
        ({"command": ("/nowhere/tap",)}, [], ConfigurationError, "cannot be started: /nowhere/tap"),
        ({"command": ("true",)}, [], ConfigurationError, "lists no streams"),
    ],
)
def test_what_a_tap_does_wrong_is_named(
    play: Play, options: dict[str, object], script: list[object], kind: type[Exception], says: str
) -> None:
    connector = play.connector(*script, **options)
    with pytest.raises(kind, match=says):
        read_all(connector, PLAN)
    connector.close()


def test_a_stream_or_column_that_is_not_there_is_named(play: Play) -> None:
    connector = play.connector({"rows": [0, 2]})
    plans = [
        replace(PLAN, how=SingerStream("thingy")),
        replace(PLAN, how=SingerStream("thing", keys=("number",))),
        replace(PLAN, how=SingerStream("thing", "incremental", "changed", deletes=True)),
        PLAN,
    ]
    found = list(check(connector, plans, ZONE))
    assert [each.problem for each in found] == [
        "The tap has no stream thingy.",
        "The tap's stream thing has no number.",
        "The tap gives INCREMENTAL of thing: what is missing is not deleted.",
        "",
    ]
    assert "thing" in found[0].cure
    assert [(each.name, each.how) for each in connector.discover()] == [
        ("thing", {"stream": "thing", "keys": ["id"]}), ("other", {"stream": "other"}),
    ]  # fmt: skip
    connector.close()


def test_a_tap_is_started_no_oftener_than_is_polite(play: Play) -> None:
    connector = play.connector({"rows": [0, 1]}, pause_seconds=3600)
    _, cursor = read_all(connector, PLAN)
    play.says({"rows": [1, 2]})
    assert read_all(connector, PLAN, cursor)[0] == []
    connector.close()
    assert keys(read_all(play.connector({"rows": [1, 2]}), PLAN, cursor)[0]) == ["1"]


ENDLESS = [{"stubborn": True}, {"leave": 600}, {"rows": [0, 1]}, {"sleep": 600}]


def test_rest_ends_the_tap_and_what_it_started(play: Play) -> None:
    connector = play.connector(*ENDLESS, page_rows=1)
    others = set(psutil.Process().children(recursive=True))
    connector.read(PLAN, None)
    started = set(psutil.Process().children(recursive=True)) - others
    assert len(started) == 3
    connector.rest(PLAN)
    until(lambda: not any(map(is_alive, started)), "the tap and its child ended")


def test_a_killed_agent_takes_its_tap_with_it(play: Play) -> None:
    play.connector(*ENDLESS, page_rows=1)
    code = f"""
import sys
sys.path[:0] = [{str(ROOT)!r}]
from pathlib import Path
from tests.connectors.test_singer import PLAN, Play
import json
play = Play(Path({str(play.folder)!r}))
play.connector(*json.loads({json.dumps(ENDLESS)!r}), page_rows=1).read(PLAN, None)
print("read", flush=True)
sys.stdin.read()
"""
    agent = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
    )
    assert agent.stdout is not None
    with agent, agent.stdout as told:
        assert any(line == b"read\n" for line in told)
        started = psutil.Process(agent.pid).children(recursive=True)
        assert len(started) == 3
        assert leftovers(play)
        os.kill(agent.pid, signal.SIGKILL)
        until(lambda: not any(map(is_alive, started)), "the tap and its child ended")
    assert not leftovers(play)


def leftovers(play: Play) -> list[Path]:
    """List the files in which the tap's password stands."""
    found = [each for each in (play.folder / "memory").rglob("*") if each.is_file()]
    return [each for each in found if b"sesame" in each.read_bytes()]


def is_alive(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
