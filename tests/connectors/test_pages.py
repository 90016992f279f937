"""Each kind of connector for machines has a page whose example is a file that an agent reads."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from connectors import registers
from connectors.config import load_agent
from connectors.kinds import modbus, sparkplug
from connectors.opcua_plan import OpcuaStream, Pace
from connectors.registry import find
from pipeline.settings import ROOT

PAGES = {each.stem: each.read_text("utf-8") for each in (ROOT / "docs/connectors").glob("*.md")}
MACHINES = ("modbus", "opcua", "sparkplug")


@pytest.mark.parametrize("kind", MACHINES)
def test_the_example_of_a_page_is_read(kind: str, tmp_path: Path) -> None:
    (example,) = re.findall(r"```yaml\n(agent:.*?)```", PAGES[kind], re.DOTALL)
    path = tmp_path / "agent.yaml"
    path.write_text(example, "utf-8")
    (source,) = load_agent(path).sources
    assert find(source.preset).kind == kind


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("modbus", [each.name for each in fields(modbus.ModbusSource)]),
        ("modbus", [each.name for each in fields(modbus.ModbusStream)]),
        ("modbus", [f".{each.name}" for each in fields(registers.Register)]),
        ("opcua", [each.name for cls in (OpcuaStream, Pace) for each in fields(cls)]),
        ("sparkplug", [each.name for each in fields(sparkplug.SparkplugSource)]),
        ("sparkplug", [each.name for each in fields(sparkplug.SparkplugStream)]),
    ],
)
def test_every_option_stands_on_its_page(kind: str, options: list[str]) -> None:
    # What groups options in code is no option itself.
    missing = [each for each in options if each not in PAGES[kind] and each != "pace"]
    assert not missing, f"add {missing} to docs/connectors/{kind}.md"
