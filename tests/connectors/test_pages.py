"""Each kind of connector has a page whose example is a file that an agent reads."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from connectors import kinds, opcua_plan, registers, sparkplug_host
from connectors.cdc.log import CdcStream
from connectors.config import load_agent
from connectors.files import forms
from connectors.kinds import cdc, files, modbus, odata, rest, singer, sparkplug, sql
from connectors.opcua_plan import OpcuaStream, Pace
from connectors.registry import find, read_preset
from connectors.web import login, moments, paging, way
from kernel.registry import modules_in
from pipeline.settings import ROOT

# What groups options in code, or is called otherwise in a file.
GROUPS = {"pace", "sftp", "kind", "moments", "check", "server"}
PAGES = {each.stem: each.read_text("utf-8") for each in (ROOT / "docs/connectors").glob("*.md")}


@pytest.mark.parametrize("kind", modules_in(kinds))
def test_the_example_of_a_page_is_read(kind: str, tmp_path: Path) -> None:
    (example,) = re.findall(r"```yaml\n(agent:.*?)```", PAGES[kind], re.DOTALL)
    path = tmp_path / "agent.yaml"
    path.write_text(example, "utf-8")
    (source,) = load_agent(path).sources
    assert find(source.preset).kind == kind


def test_the_preset_of_the_page_of_rest_is_read(tmp_path: Path) -> None:
    (example,) = re.findall(r"```yaml\n(title:.*?)```", PAGES["rest"], re.DOTALL)
    path = tmp_path / "paint.yaml"
    path.write_text(example, "utf-8")
    (plan,) = read_preset(path).streams
    assert isinstance(plan.how, rest.RestStream)
    assert plan.how.ask.path == "v1/products"


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("cdc", [e.name for cls in (cdc.CdcSource, CdcStream) for e in fields(cls)]),
        ("modbus", [each.name for each in fields(modbus.ModbusSource)]),
        ("modbus", [each.name for each in fields(modbus.ModbusStream)]),
        ("modbus", [f".{each.name}" for each in fields(registers.Register)]),
        ("odata", [e.name for c in (odata.OdataSource, odata.OdataStream) for e in fields(c)]),
        ("opcua", [each.name for cls in (OpcuaStream, Pace) for each in fields(cls)]),
        ("files", [e.name for cls in (forms.Form, forms.Login) for e in fields(cls)]),
        ("files", [e.name for cls in (files.FilesSource, files.FilesStream) for e in fields(cls)]),
        ("rest", [e.name for cls in (rest.RestSource, rest.RestStream) for e in fields(cls)]),
        ("rest", [e.name for cls in (login.Login, login.Request, way.Way) for e in fields(cls)]),
        ("rest", [e.name for cls in (moments.Moments, paging.Paging) for e in fields(cls)]),
        ("singer", [e.name for c in (singer.SingerSource, singer.SingerStream) for e in fields(c)]),
        ("sparkplug", [each.name for each in fields(sparkplug.SparkplugSource)]),
        ("sparkplug", [each.name for each in fields(sparkplug.SparkplugStream)]),
        ("sql", [e.name for cls in (sql.SqlSource, sql.SqlStream) for e in fields(cls)]),
    ],
)
def test_every_option_stands_on_its_page(kind: str, options: list[str]) -> None:
    missing = [each for each in options if each not in PAGES[kind] and each not in GROUPS]
    assert not missing, f"add {missing} to docs/connectors/{kind}.md"


def test_every_column_of_what_is_pushed_stands_on_its_page() -> None:
    for kind, columns in (("opcua", opcua_plan.COLUMNS), ("sparkplug", sparkplug_host.COLUMNS)):
        missing = [name for name in columns.names if f"`{name}`" not in PAGES[kind]]
        assert not missing, f"add {missing} to docs/connectors/{kind}.md"
