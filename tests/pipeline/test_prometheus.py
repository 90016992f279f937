"""Prometheus: the numbers are those of commits and standings, in a form that a scraper can read."""

import re
from collections.abc import Callable

import pytest

from contracts.loader import find
from kernel.errors import ChecksFailedError, DependencyUnavailableError
from pipeline import wiring
from pipeline.assess import assess
from pipeline.land import land
from pipeline.prometheus import _Family, exposition
from pipeline.refine import refine
from pipeline.seal import seal
from pipeline.settings import ROOT
from tests.packs import with_column
from tests.pipeline.test_doctor_broken import spoil
from tests.pipeline.test_replay import relax
from tests.pipeline.world import World, row, send_books, send_dossier
from tests.rows import FACTORY

CONTRACT = "erp.payment.v1"
BAD = {"payment_id": "BAD", "payee_uscc": "91330523719500014X"}
_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_LABEL = r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"'
_SAMPLE = re.compile(rf"({_NAME})\{{((?:{_LABEL}(?:,|(?=\}})))*)\}} (\S+)")
_META = re.compile(rf"# (HELP|TYPE) ({_NAME}) (.+)")
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def parsed(text: str) -> Samples:
    """Read the text format strictly: meta lines first, samples of that family, none twice."""
    assert text.endswith("\n")
    found: Samples = {}
    families: dict[str, str] = {}
    current = ""
    for line in text.splitlines():
        if meta := _META.fullmatch(line):
            if meta[1] == "TYPE":
                assert meta[2] not in families
                assert meta[3] in {"counter", "gauge", "histogram"}
                families[meta[2]], current = meta[3], meta[2]
            continue
        sample = _SAMPLE.fullmatch(line)
        assert sample, line
        suffix = sample[1].removeprefix(current)
        is_histogram = families[current] == "histogram"
        assert suffix in ({"_bucket", "_sum", "_count"} if is_histogram else {""}), line
        key = sample[1], frozenset(re.findall(_LABEL, sample[2]))
        assert key not in found, line
        found[key] = float(sample[5])
    return found


def value(found: Samples, name: str, **labels: str) -> float:
    return found[f"nplusx_{name}", frozenset({"contract": CONTRACT, **labels}.items())]


Scrape = Callable[[], Samples]


@pytest.fixture
def scrape(world: World) -> Scrape:
    return lambda: parsed(exposition(world.settings))


def test_nothing_yet_is_a_valid_answer(scrape: Scrape) -> None:
    assert all(number == 0 for number in scrape().values())


def test_rows_records_and_offsets_are_those_of_the_commits(world: World, scrape: Scrape) -> None:
    world.send(CONTRACT, row(CONTRACT), row(CONTRACT, **BAD))
    world.land()
    world.send(CONTRACT, row(CONTRACT, payment_id="P2"))
    found = scrape()
    assert value(found, "rows_total", outcome="landed") == 1
    assert value(found, "rows_total", outcome="quarantined") == 1
    assert value(found, "rows_total", outcome="repeated") == 0
    assert value(found, "records_total", outcome="landed") == 1
    assert value(found, "quarantine_open") == 1
    assert value(found, "landing_latency_seconds_count") == 1
    assert value(found, "landing_latency_seconds_bucket", le="+Inf") == 1
    marks = [value(found, "watermark_offset", partition=part) for part in ("0", "1")]
    ends = [value(found, "end_offset", partition=part) for part in ("0", "1")]
    assert (sum(marks), sum(ends)) == (1, 2)
    seen = {"enterprise": FACTORY, "source": "books"}
    assert found["nplusx_source_last_seen_timestamp_seconds", frozenset(seen.items())] > 0
    assert found["nplusx_commit_files", frozenset({("table", "landing_record")})] == 1


def test_buckets_hold_all_that_took_no_longer(world: World, scrape: Scrape) -> None:
    for _ in range(2):
        world.send(CONTRACT, row(CONTRACT))
        world.land()
    found = scrape()
    limits = ["1", "5", "15", "60", "300", "900", "3600", "21600", "86400", "+Inf"]
    counts = [value(found, "landing_latency_seconds_bucket", le=each) for each in limits]
    assert counts == sorted(counts)
    assert counts[-1] == 2


def test_a_row_that_landed_after_all_is_counted_so_and_its_record_once(
    world: World, scrape: Scrape, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.send(CONTRACT, row(CONTRACT), row(CONTRACT, **BAD))
    world.land()
    relax(monkeypatch)
    land(CONTRACT)
    found = scrape()
    assert value(found, "rows_total", outcome="landed") == 2
    assert value(found, "rows_total", outcome="quarantined") == 1
    assert value(found, "records_total", outcome="landed") == 1
    assert value(found, "landing_latency_seconds_count") == 1
    assert value(found, "quarantine_open") == 0


def test_a_silent_bus_leaves_out_only_what_it_alone_knows(
    world: World, scrape: Scrape, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.send(CONTRACT, row(CONTRACT))
    world.land()

    def silent(_settings: object) -> None:
        raise DependencyUnavailableError("The broker is silent.")

    monkeypatch.setattr(wiring, "bus", silent)
    found = scrape()
    assert not [name for name, _ in found if name.endswith("_offset")]
    assert value(found, "rows_total", outcome="landed") == 1


def test_evidence_that_does_not_hold_is_counted_once_for_each_reason(
    world: World, scrape: Scrape
) -> None:
    failures = "nplusx_evidence_verify_failures_total", frozenset()
    send_books(world)
    send_dossier(world)
    world.land()
    for stage in (refine, assess):
        stage()
    assert scrape()[failures] == 0
    table = world.store.open("decision")
    rows = table.dataset().to_table()
    richer = [each.replace(b"50000.00", b"90000.00") for each in rows["decision"].to_pylist()]
    table.replace(with_column(rows, "decision", richer), {})
    for _ in range(2):
        with pytest.raises(ChecksFailedError):
            seal()
    assert scrape()[failures] == 1


def test_every_metric_that_is_promised_is_there_and_no_other(world: World) -> None:
    families = re.findall(r"^# TYPE (\S+) (\S+)$", exposition(world.settings), re.MULTILINE)
    assert dict(families) == {
        "nplusx_rows_total": "counter",
        "nplusx_records_total": "counter",
        "nplusx_evidence_verify_failures_total": "counter",
        "nplusx_landing_latency_seconds": "histogram",
        "nplusx_watermark_offset": "gauge",
        "nplusx_end_offset": "gauge",
        "nplusx_quarantine_open": "gauge",
        "nplusx_source_last_seen_timestamp_seconds": "gauge",
        "nplusx_commit_files": "gauge",
    }
    page = (ROOT / "docs/running.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in page for name, _ in families)


def test_labels_are_escaped() -> None:
    family = _Family("nplusx_x", "gauge", "Any.")
    family.add(1, contract='a"b\\c\nd')
    text = "".join(f"{line}\n" for line in family.lines())
    assert r'contract="a\"b\\c\nd"' in text
    parsed(text)


def test_a_table_that_cannot_be_opened_is_left_out_and_the_others_are_told(
    world: World, scrape: Scrape
) -> None:
    world.send(CONTRACT, row(CONTRACT))
    world.send("erp.delivery.v1", row("erp.delivery.v1"))
    world.land()
    before = scrape()
    spoil(world, find(CONTRACT).table)
    after = scrape()
    gone = {key for key in before if ("contract", CONTRACT) in key[1]}
    assert {key for key in after if ("contract", CONTRACT) in key[1]} < gone
    others = {k: n for k, n in before.items() if k not in gone and k[0] != "nplusx_commit_files"}
    assert others.items() <= after.items()
