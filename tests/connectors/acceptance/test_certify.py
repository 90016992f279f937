"""`nplusx connector certify` before real sources of several kinds: what it sees, what it leaves."""

import csv
import io
import os
from collections.abc import Callable
from contextlib import ExitStack
from email.utils import format_datetime
from pathlib import Path

import psycopg
import pytest
import structlog
from click.testing import Result
from typer.testing import CliRunner

from kernel import clock, yaml
from kernel.errors import TamperingError
from pipeline import cli
from pipeline.acceptance import PARTS
from tests.connectors.machines import opcua_reading
from tests.connectors.machines.opcua_server import URI
from tests.connectors.web.server import Answer, Asked, serving
from tests.pipeline.test_publish import KEY, USCC
from tests.servers import PASSWORD

pytestmark = pytest.mark.real_system
MAPPING = """
select code as product_code, name as product_name, '件' as unit_of_measure,
  'finished' as product_kind, cast(try_cast(changed as timestamp) as timestamptz) as updated_at, _op
from rows
"""
ROWS = [(f"P{n:02} 😀", f"n{n} '; --", f"2024-03-05 08:00:{n:02}") for n in range(12)]
PAGE = 5
Told = tuple[dict[str, object], dict[str, object]]
"""What the preset's stream says of its kind, and what the agent's file says of the source."""
Start = Callable[[pytest.FixtureRequest, Path, ExitStack], Told]


def table(request: pytest.FixtureRequest) -> str:
    url: str = request.getfixturevalue("postgres").fresh()
    request.getfixturevalue("monkeypatch").setenv("SOURCE_PASSWORD", PASSWORD)
    with psycopg.connect(url) as db:
        db.execute("create table product (code text primary key, name text, changed timestamp)")
        db.cursor().executemany("insert into product values (%s, %s, %s)", ROWS)
        db.execute("create publication nplusx for table product")
    return url.replace(f":{PASSWORD}@", ":${SOURCE_PASSWORD}@")


def sql(request: pytest.FixtureRequest, _folder: Path, _stack: ExitStack) -> Told:
    how = {"query": "select * from product", "updated": "changed", "keys": ["code"]}
    return how, {"url": table(request), "page_rows": PAGE}


def cdc(request: pytest.FixtureRequest, _folder: Path, _stack: ExitStack) -> Told:
    return {"table": "product", "keys": ["code"]}, {"url": table(request), "page_rows": PAGE}


def files(_request: pytest.FixtureRequest, folder: Path, _stack: ExitStack) -> Told:
    text = io.StringIO()
    csv.writer(text).writerows([("code", "name", "changed"), *ROWS])
    file = folder / "drop" / "products.csv"
    file.parent.mkdir()
    file.write_text(text.getvalue(), "utf-8")
    os.utime(file, (1_700_000_000, 1_700_000_000))
    return {"pattern": "*.csv", "form": "csv"}, {"folder": str(file.parent), "page_rows": PAGE}


def rest(_request: pytest.FixtureRequest, _folder: Path, stack: ExitStack) -> Told:
    def says(asked: Asked) -> Answer:
        start = (int(asked.query["page"]) - 1) * PAGE
        rows = ROWS[start : start + PAGE]
        told = [dict(zip(("code", "name", "changed"), row, strict=True)) for row in rows]
        return Answer(
            told,
            headers={"Date": format_datetime(clock.now(), usegmt=True), "Server": NAMES["rest"]},
        )

    server = stack.enter_context(serving(says))
    how = {
        "ask": {"path": "products", "query": {"page": "{page}"}}, "keys": ["code"],
        "columns": ["code", "name", "changed"], "paging": {"by": "page", "limit": PAGE},
    }  # fmt: skip
    return how, {"address": server.address, "requests_per_second": 1000}


def opcua(_request: pytest.FixtureRequest, folder: Path, stack: ExitStack) -> Told:
    server = stack.enter_context(opcua_reading.running(folder))
    machines = [{"code": "EQ01", "node": f"nsu={URI};s=Press"}]
    return {}, {"url": opcua_reading.url(server), "machines": machines}


def connector(*words: str) -> Result:
    try:
        return CliRunner().invoke(cli.assemble(), ["connector", *words])
    finally:
        structlog.reset_defaults()


# What does not apply to a kind, as it says itself.
LEFT_OUT = {"files": {"clock skew"}, "rest": {"discover"}}
# As what the source makes itself known.
NAMES = {"sql": "PostgreSQL 1", "cdc": "PostgreSQL 1", "rest": "Acme/7", "opcua": "FreeOpcUa"}


@pytest.mark.parametrize("start", [sql, cdc, files, rest, opcua], ids=lambda each: each.__name__)
def test_a_source_is_certified_and_nothing_of_it_is_left(
    request: pytest.FixtureRequest, tmp_path: Path, start: Start
) -> None:
    kind = start.__name__
    with ExitStack() as stack:
        how, way = start(request, tmp_path, stack)
        preset = "opcua_machine"
        if how:
            preset = "own.yaml"
            stream = {"contract": "erp.product.v1", "version": "1.0.0", **how, "mapping": MAPPING}
            told = {"title": {"zh": "试", "en": "test"}, "kind": kind, "proof": "none"}
            (tmp_path / preset).write_text(yaml.dump({**told, "streams": [stream]}), "utf-8")
        (tmp_path / "agent.key").write_text(KEY.text)
        (tmp_path / "agent.key.pub").write_text(KEY.public.text)
        agent = {"id": "pc", "enterprise": USCC, "key_file": "agent.key", "outbox": "o.sqlite"}
        file, out = tmp_path / "agent.yaml", tmp_path / "cert.json"
        sources = [{"id": "s", "preset": preset, **way}]
        file.write_text(yaml.dump({"agent": agent, "sources": sources}), "utf-8")
        words = ("--soak=1", "--contract", "erp.product.v1" if how else "mes.equipment_state.v1")
        before = set(tmp_path.iterdir())
        done = connector("certify", str(file), *words, "--out", str(out))
        if kind == "sql":
            assert f"erp.product.v1\t{NAMES[kind]}" in connector("check", str(file)).output
    rows = csv.reader(done.output.splitlines(), delimiter="\t")
    seen = {row[1]: (row[2], row[3]) for row in rows if len(row) == 5 and row[1] in PARTS}
    assert {each: row for each, row in seen.items() if row[0] == "failed"} == {}
    assert {each for each, row in seen.items() if row[0] == "skipped"} == LEFT_OUT.get(kind, set())
    assert set(seen) == set(PARTS)
    assert done.exit_code == 0
    assert PASSWORD not in done.output
    assert f"\nproduct\t{NAMES.get(kind, chr(10))}" in done.output
    if how:
        assert "12 rows in" in seen["first read"][1]
        assert "5 times killed; 12 rows, none lost, none doubled" in seen["resume after kill"][1]
    assert set(tmp_path.iterdir()) - before <= {out, tmp_path / "server.log"}
    if kind == "cdc":
        with psycopg.connect(str(way["url"]).replace("${SOURCE_PASSWORD}", PASSWORD)) as db:
            assert db.execute("select slot_name from pg_replication_slots").fetchall() == []
    key = ("--key", str(tmp_path / "agent.key.pub"))
    assert connector("certificate", str(out), *key).output == done.output
    sealed = out.read_bytes()
    out.write_bytes(sealed.replace(b"sig", b"Sig"))
    assert isinstance(connector("certificate", str(out), *key).exception, TamperingError)
