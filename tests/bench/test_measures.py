"""Figures are kept by name and shown in a page; the commands measure something real."""

from pathlib import Path

import pytest

from bench import measures
from bench.measures import Measure
from tests.broker import run

PAGE = "# Page\n\n<!-- figures -->\nold\n<!-- end of figures -->\n\ntail\n"


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(measures, "RESULTS", tmp_path / "results.json")
    monkeypatch.setattr(measures, "PAGE", tmp_path / "page.md")
    (tmp_path / "page.md").write_text(PAGE, "utf-8")
    return tmp_path / "page.md"


def figure(value: float, **changes: object) -> Measure:
    facts: dict[str, object] = {
        "id": "a", "value": value, "unit": "rows/s", "rows": 1_000, "goal": "≥ 2 × it",
        "met": True, "peer": "it: 3 rows/s", "ratio": 2.5, **changes,
    }  # fmt: skip
    return Measure(**facts)


def test_a_figure_takes_the_place_of_the_one_before(page: Path) -> None:
    measures.keep([figure(1.0), figure(2.0, id="b", met=False, peer="", ratio=None)])
    measures.keep([figure(7_000.0)])
    assert [(each["id"], each["value"]) for each in measures.kept()] == [("a", 7_000), ("b", 2)]
    text = page.read_text("utf-8")
    assert "| `a` | 7,000.0 rows/s | it: 3 rows/s | 2.5 | ≥ 2 × it | ✓ | 1,000 |" in text
    assert "| `b` | 2.0 rows/s | – | – | ≥ 2 × it | ✗ | 1,000 |" in text
    assert "old" not in text
    assert text.endswith("tail\n")


def test_the_page_shows_what_was_kept() -> None:
    before = measures.PAGE.read_text("utf-8")
    measures.write_page()
    assert measures.PAGE.read_text("utf-8") == before
    for each in measures.kept():
        assert f"`{each['id']}`" in before


@pytest.mark.kafka
@pytest.mark.real_system
@pytest.mark.parametrize(
    "name",
    ["small_commits", "follow_latency", "land_arrow_vs_bound", "opcua_items", "outbox_to_kafka"],
)
def test_a_bench_measures(name: str) -> None:
    told = run("make", "--no-print-directory", "bench", f"ONLY={name}", "SIZE=trial", seconds=300)
    assert f"{name}: " in told
