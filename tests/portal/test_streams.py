"""Streams: the equation of every stream, of one's own for a factory."""

import threading
from pathlib import Path

import pytest

from kernel import clock
from pipeline import doctor
from pipeline.findings import Finding, StreamHealth
from portal import examined
from portal.app import create_app
from tests.pipeline.world import AUTHORITY
from tests.portal.conftest import LogIn
from tests.portal.county import NAME, OTHER, Site, Visitor
from tests.rows import FACTORY


@pytest.mark.parametrize("name", ["engineer", "auditor"])
def test_the_county_sees_every_stream_add_up(as_user: LogIn, name: str) -> None:
    text = as_user(name).get("/streams").text
    assert all(uscc in text for uscc in (FACTORY, OTHER, AUTHORITY))
    assert "采购发票行" in text
    assert "erp.purchase_invoice.v1" in text
    assert NAME in text
    assert "积压" in text
    assert "账实不符" not in text
    tiles = [int(each.split("</b>")[0]) for each in text.split('"><b>')[1:5]]
    assert tiles[0] == sum(tiles[1:]) > 0
    assert tiles[2] == 5


def test_a_factory_sees_its_own_and_nothing_of_others(as_user: LogIn) -> None:
    mine, theirs = (as_user(name).get("/streams").text for name in ("factory", "neighbour"))
    for text, own, other in ((mine, FACTORY, OTHER), (theirs, OTHER, FACTORY)):
        assert own in text
        assert other not in text
        assert AUTHORITY not in text
        # Lag is of whole topics, so it would tell how much the others send.
        assert "积压" not in text
    assert [int(each.split("</b>")[0]) for each in theirs.split('"><b>')[1:5]] == [16, 13, 3, 0]


def test_a_factory_user_without_a_factory_sees_nothing(as_user: LogIn) -> None:
    text = as_user("nobody").get("/streams").text
    assert "还没有数据流。" in text
    assert FACTORY not in text


def test_a_leader_has_no_streams(as_user: LogIn) -> None:
    inside = as_user("leader")
    answer = inside.get("/streams")
    assert answer.status_code == 403
    assert "您的角色无权查看此页。" in answer.text
    assert "/streams" not in inside.get("/metrics").text


def test_the_table_alone_is_given_to_who_asks_for_it(as_user: LogIn) -> None:
    text = as_user("engineer").get("/streams", **{"HX-Request": "true"}).text
    assert "<html" not in text
    assert FACTORY in text


def test_before_the_first_record_there_is_an_empty_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Site(tmp_path, monkeypatch)
    visitor = Visitor(create_app())
    visitor.log_in("engineer")
    assert "还没有数据流。" in visitor.get("/streams").text
    assert "隔离区是空的。" in visitor.get("/quarantine").text
    assert "还没有可计算的指标。" in visitor.get("/metrics").text
    assert "还没有评定过的申报。" in visitor.get("/claims").text


def test_a_hole_and_a_sum_that_fails_are_told_to_their_owner(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = f"{FACTORY}/agent-1/books/erp.payment.v1"
    health = StreamHealth(stream, "erp.payment.v1", produced=3, landed=2)
    health.holes.append({"epoch": "e1", "from": 4, "to": 6})
    word = {"who": "王工", "why": "the broker was replaced"}
    findings = (
        Finding(f"{stream}: 3 rows were produced.", "ask."),
        Finding("erp.payment.v1: the topic was made anew.", "ask."),
        Finding("erp.payment.v1: offsets 1 to 2 were gone.", "ask.", lasts=True, word=word),
    )
    notices = ("somebody sends odd columns.",)
    found = doctor.Health((health,), {"erp.payment.v1": 7}, findings, notices)
    monkeypatch.setattr(examined, "examine", lambda _settings: found)
    pages = {}
    for name in ("engineer", "factory", "neighbour"):
        visitor = Visitor(create_app())
        visitor.log_in(name)
        pages[name] = visitor.get("/streams").text
    for name in ("engineer", "factory"):
        assert "账实不符" in pages[name]
        assert "缺少批次 4–6" in pages[name]
        # In the table, in the reader's language; not a second time in English.
        assert "3 rows were produced" not in pages[name]
    assert "the topic was made anew" in pages["engineer"]
    assert "已说明 · erp.payment.v1: offsets 1 to 2 were gone. 王工" in pages["engineer"]
    assert "the topic was made anew" not in pages["factory"]
    assert "odd columns" in pages["engineer"]
    assert "odd columns" not in pages["factory"]
    assert "缺少批次" not in pages["neighbour"]
    assert "还没有数据流。" in pages["neighbour"]


def test_streams_are_examined_once_for_all_who_look(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, calls = 1000.0, []
    monkeypatch.setattr(clock, "monotonic", lambda: now)
    health = doctor.Health((), {}, ())
    monkeypatch.setattr(examined, "examine", lambda _settings: calls.append(1) or health)
    shared = examined.Examined(site.settings)
    for _ in range(3):
        assert shared.look().health is health
    assert len(calls) == 1
    now += 4
    shared.look()
    assert len(calls) == 2


def test_who_comes_during_an_examination_gets_the_last_one(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examined, "_FRESH_SECONDS", -1.0)
    monkeypatch.setattr(examined, "_REST", 0)
    health = doctor.Health((), {}, ())
    begun, done = threading.Event(), threading.Event()

    def slow(_settings: object) -> doctor.Health:
        if threading.current_thread() is not threading.main_thread():
            begun.set()
            assert done.wait(30)
        return health

    monkeypatch.setattr(examined, "examine", slow)
    shared = examined.Examined(site.settings)
    first = shared.look()
    other = threading.Thread(target=shared.look)
    other.start()
    assert begun.wait(30)
    assert shared.look() is first
    done.set()
    other.join(30)


def test_an_examination_that_fails_can_be_tried_again(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    health = doctor.Health((), {}, ())
    answers: list[object] = [OSError("away"), health]

    def examine(_settings: object) -> object:
        answer = answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer

    monkeypatch.setattr(examined, "examine", examine)
    shared = examined.Examined(site.settings)
    with pytest.raises(OSError, match="away"):
        shared.look()
    assert shared.look().health is health
