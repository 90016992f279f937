"""A folder into which files are dropped, here or behind SFTP, and what is read of it."""

import os
import subprocess
import time
from dataclasses import replace
from pathlib import Path

from connectors.base import Source, StreamPlan
from connectors.files.forms import Form, Login
from connectors.kinds.files import FilesConnector, FilesSource, FilesStream
from kernel.errors import ConfigurationError
from kernel.ids import ContractId, SourceId

MAPPING = "select 编号 as key, 名称 as name, file_name, row_number, _op from rows"
PLAN = StreamPlan(ContractId("test.row.v1"), "1.0.0", MAPPING, FilesStream("*.csv", Form("csv")))
HEAD = "编号,名称\n"


class Drop:
    """A folder into which files are dropped, and a connector that reads it."""

    def __init__(
        self, folder: Path, login: Login | None, server: "subprocess.Popen[bytes] | None" = None
    ) -> None:
        self.folder, self.login, self.server = folder, login, server

    def put(self, name: str, text: str | bytes, age: float = 3600) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        then = time.time() - age
        os.utime(path, (then, then))
        return path

    def connector(self, **options: object) -> FilesConnector:
        way = replace(FilesSource("", self.login, "", settle_seconds=10), **options)
        if self.login is None:
            way = replace(way, folder=str(self.folder))
        return FilesConnector(Source(SourceId("s"), "none", way))


def keys(rows: list[dict[str, object]]) -> list[object]:
    return [row["key"] for row in rows]


def until_trouble(
    connector: FilesConnector, cursor: str | None, plan: StreamPlan[FilesStream] = PLAN
) -> tuple[list[object], str | None, str]:
    """Read until the connector complains; give keys, cursor and complaint."""
    read: list[object] = []
    while True:
        try:
            page = connector.read(plan, cursor)
        except ConfigurationError as wrong:
            return read, cursor, wrong.what
        assert page.more
        cursor = page.cursor
        read += page.rows.column("编号").to_pylist() if page.rows is not None else []
