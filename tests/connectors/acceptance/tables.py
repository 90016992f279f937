"""Stands of tables: by question, by their log, by a tap, in files, behind OData."""

# ruff: noqa: S608 - the statements are the test's own

import csv
import io
import json
import os
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path

import pymysql
from typing_extensions import override

from connectors.base import Connector, Source, StreamPlan
from connectors.cdc.log import CdcStream
from connectors.files.forms import Form
from connectors.kinds.files import FilesConnector, FilesSource, FilesStream
from connectors.kinds.odata import OdataConnector, OdataSource, OdataStream
from connectors.kinds.singer import SingerConnector, SingerSource, SingerStream
from connectors.kinds.sql import SqlStream
from connectors.web.way import Way
from kernel.ids import ContractId, SourceId
from tests.connectors.acceptance.stand import ODD, Stand, quoted
from tests.connectors.databases import Database
from tests.connectors.logged import Logged
from tests.connectors.machines import tap
from tests.connectors.machines.odata_service import Service

ROW = ContractId("test.row.v1")
EARLY = datetime.fromisoformat("2024-03-01 08:00")
PAGE = 4
# Names there cannot bear what lies beyond the first plane.
PLAIN = ODD.replace("😀", "`")


class SqlStand(Stand):
    """A table that is asked by change; its deletes are found by its keys."""

    def __init__(self, database: Database) -> None:
        self._database, self._at = database, EARLY
        is_mariadb = database.url.startswith("mysql")
        odd = PLAIN if is_mariadb else ODD
        key, at = f"{odd} :k %s", f"{odd} 改"
        sign = "`" if is_mariadb else '"'
        query = (
            f"select id as {quoted(key, sign)}, note as {quoted(odd, sign)},"
            f" changed as {quoted(at, sign)} from thing"
        )
        mapping = f"select {quoted(key)} as key, {quoted(odd)} as note, _op from rows"
        how = SqlStream(query, at, (key,), deletes=True)
        self.plan = StreamPlan(ROW, "1.0.0", mapping, how)

    @override
    def open(self) -> Connector[object]:
        return self._database.connector(page_rows=PAGE, sweep_seconds=0, lookback_seconds=600)

    @override
    def put(self, key: str | None, note: str) -> None:
        self._at += timedelta(seconds=1)
        self._database.put(key, note, self._at)

    @override
    def remove(self, key: str) -> None:
        self._database.remove(key)


class CdcStand(Stand):
    """A table that is followed by its log; its keys cannot be null."""

    has_null_keys = False

    def __init__(self, table: Logged) -> None:
        self._table = table
        odd, sign = (ODD, '"') if table.is_postgres else (PLAIN, "`")
        key = f"{odd} %s"
        self._odd, self._key = quoted(odd, sign), quoted(key, sign)
        kind = "text" if table.is_postgres else "longtext"
        columns = f"{self._key} varchar(100) primary key, {self._odd} {kind}"
        table.run(f"create table {self._odd} ({columns})")
        if table.is_postgres:
            table.run(f"alter publication nplusx add table {self._odd}")
        mapping = f"select {quoted(key)} as key, {quoted(odd)} as note, _op from rows"
        self.plan = StreamPlan(ROW, "1.0.0", mapping, CdcStream(odd, (key,)))

    @override
    def open(self) -> Connector[object]:
        return self._table.connector(page_rows=PAGE)

    @override
    def put(self, key: str | None, note: str) -> None:
        key, note = self._text(str(key)), self._text(note)
        found = f"insert into {self._odd} values ({key}, {note})"
        again = (
            f"on conflict ({self._key}) do update set {self._odd} = excluded.{self._odd}"
            if self._table.is_postgres
            else f"on duplicate key update {self._odd} = values({self._odd})"
        )
        self._table.run(f"{found} {again}")

    @override
    def remove(self, key: str) -> None:
        self._table.run(f"delete from {self._odd} where {self._key} = {self._text(key)}")

    def _text(self, text: str) -> str:
        if self._table.is_postgres:
            return "'" + text.replace("'", "''") + "'"
        return str(pymysql.converters.escape_string(text)).join("''")


class FilesStand(Stand):
    """Files are dropped; what a row said before is said anew by another file."""

    has_deletes = False

    def __init__(self, folder: Path) -> None:
        self._folder, self._count = folder, 0
        mapping = f"select {quoted(ODD)} as key, 说明 as note, _op from rows"
        self.plan = StreamPlan(ROW, "1.0.0", mapping, FilesStream("*.csv", Form("csv")))

    @override
    def open(self) -> Connector[object]:
        way = FilesSource(str(self._folder), None, "", page_rows=PAGE)
        return FilesConnector(Source(SourceId("s"), "none", way))

    @override
    def put(self, key: str | None, note: str) -> None:
        self._count += 1
        text = io.StringIO()
        csv.writer(text).writerows([(ODD, "说明"), (key, note)])
        path = self._folder / f"{self._count:04} 😀.csv"
        path.write_text(text.getvalue(), "utf-8")
        then = time.time() - 3600 + self._count
        os.utime(path, (then, then))


class OdataStand(Stand):
    """Orders behind a service; all of them are read each time, and compared."""

    has_null_keys = False

    def __init__(self, service: Service, folder: Path) -> None:
        self._service, self._folder = service, folder
        how = OdataStream("SalesOrders", ("ID", "note"))
        mapping = 'select "ID" as key, note, _op from rows'
        self.plan = StreamPlan(ROW, "1.0.0", mapping, how)

    @override
    def open(self) -> Connector[object]:
        login = {"user": "reader", "password": "sesame"}
        way = Way(self._service.address(), login, requests_per_second=500)
        source = OdataSource(way, page_rows=PAGE)
        return OdataConnector(Source(SourceId("s"), "none", source, memory=self._folder))

    @override
    def put(self, key: str | None, note: str) -> None:
        self._service.run("delete from orders where id = %s", key)
        self._service.run("insert into orders (id, note) values (%s, %s)", key, note)

    @override
    def remove(self, key: str) -> None:
        self._service.run("delete from orders where id = %s", key)


class SingerStand(Stand):
    """A tap that tells the whole table each time."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._rows = folder, dict[str | None, str]()
        how = SingerStream("thing", "full_table", keys=("id",), deletes=True)
        mapping = f"select id as key, {quoted(ODD)} as note, _op from rows"
        self.plan = StreamPlan(ROW, "1.0.0", mapping, how)
        columns = {"id": {"type": ["null", "string"]}, ODD: {"type": ["null", "string"]}}
        stream = {
            "tap_stream_id": "thing", "stream": "thing", "key_properties": ["id"],
            "schema": {"type": "object", "properties": columns},
        }  # fmt: skip
        self._config = {
            "seen": str(folder / "seen.json"), "script": str(folder / "script.json"),
            "catalog": {"streams": [stream]},
        }  # fmt: skip
        self._write()

    @override
    def open(self) -> Connector[object]:
        command = (sys.executable, tap.__file__)
        way = SingerSource(command, self._config, {}, page_rows=PAGE, pause_seconds=0)
        source = Source(SourceId("s"), "none", way, memory=self._folder / "memory")
        return SingerConnector(source)

    def _write(self) -> None:
        rows = [{"row": {"id": key, ODD: note}} for key, note in self._rows.items()]
        (self._folder / "script.json").write_text(json.dumps(rows), "utf-8")

    @override
    def put(self, key: str | None, note: str) -> None:
        self._rows[key] = note
        self._write()

    @override
    def remove(self, key: str) -> None:
        del self._rows[key]
        self._write()
