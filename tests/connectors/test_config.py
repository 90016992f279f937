"""An agent's file: what is wrong with it is named, with the cure; a secret never stands in it."""

from pathlib import Path

import pytest

from connectors.config import expand, load_agent
from connectors.kinds.files import FilesSource
from connectors.kinds.sql import SqlSource
from kernel.errors import ConfigurationError

GOOD = """agent:
  id: a1
  enterprise: 91330523719500014U
  key_file: keys/a1.key
  outbox: a1.sqlite
sources:
- id: u8
  preset: yonyou_u8
  url: postgresql://reader:${NPLUSX_U8_PASSWORD}@127.0.0.1/ufdata
poll_seconds: 5
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "a1.yaml"
    path.write_text(text, "utf-8")
    return path


def test_a_good_file_is_read_and_paths_are_beside_it(tmp_path: Path) -> None:
    config = load_agent(write(tmp_path, GOOD))
    assert (config.id, config.sources[0].preset, config.poll_seconds) == ("a1", "yonyou_u8", 5)
    assert config.key_file == tmp_path / "keys/a1.key"
    assert config.outbox == tmp_path / "a1.sqlite"
    assert config.sources[0].zone == "Asia/Shanghai"
    assert config.outbox_bytes == 5 << 30
    assert config.status_file.name == "a1.sqlite.status.json"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("poll_seconds: 5", "poll_secs: 5", "`poll_secs` is not a key"),
        ("  outbox: a1.sqlite\n", "", "`agent.outbox` is missing"),
        ("poll_seconds: 5", "poll_seconds: soon", "`poll_seconds` must be a whole number"),
        ("poll_seconds: 5", "poll_seconds: 0", "from 1"),
        ("poll_seconds: 5", "poll_seconds: true", "whole number"),
        ("- id: u8", "- id: 8", "`sources[0].id` must be a text"),
        ("- id: u8", "- id: U 8", "'U 8' is not a name for source"),
        ("  id: a1", "  id: A/1", "'A/1' is not a name for agent"),
        ("- id: u8", "- id: u8\n  zone: Asia/Anji", "is not a time zone"),
        ("- id: u8", "- id: u8\n  zone: ../x", "is not a time zone"),
        ("- id: u8", "- id: u8\n  tables: [x]", "`sources[0].tables` is not a key"),
        ("91330523719500014U", "91330523719500014X", "is not a unified social credit code"),
        ("${NPLUSX_U8_PASSWORD}", "secret", "password stands in the file"),
        ("/ufdata", "/ufdata?password=secret", "password stands in the file"),
        ("  url:", "  token: secret\n  url:", "password stands in the file"),
        ("agent:", "agent: 1\nother:", "`agent` must be a mapping"),
    ],
)
def test_what_is_wrong_is_named_with_file_and_cure(
    tmp_path: Path, old: str, new: str, says: str
) -> None:
    assert old in GOOD
    with pytest.raises(ConfigurationError) as caught:
        load_agent(write(tmp_path, GOOD.replace(old, new, 1)))
    message = str(caught.value)
    assert says in message
    assert "a1.yaml" in message
    assert "Cure:" in message
    assert "secret" not in message


def test_secrets_are_put_in_place_where_the_source_is_opened(tmp_path: Path) -> None:
    file = write(tmp_path, GOOD)
    assert load_agent(file).sources[0].way == SqlSource(
        "postgresql://reader:${NPLUSX_U8_PASSWORD}@127.0.0.1/ufdata"
    )
    found = load_agent(file, {"NPLUSX_U8_PASSWORD": "p:1"}).sources[0]
    assert found.way == SqlSource("postgresql://reader:p%3A1@127.0.0.1/ufdata")


def test_paths_of_a_source_begin_where_the_agents_file_lies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = GOOD.replace("yonyou_u8\n", "einvoice_xml\n").replace("  url:", "  folder: drop #")
    written = write(tmp_path, text)
    monkeypatch.chdir("/")
    assert load_agent(written).sources[0].way == FilesSource(str(tmp_path / "drop"), None, "")
    text = text.replace("drop #", "/drop #")
    assert load_agent(write(tmp_path, text)).sources[0].way == FilesSource("/drop", None, "")


def test_variables_come_from_the_environment_that_is_given(tmp_path: Path) -> None:
    given = {"NPLUSX_X": "${NPLUSX_Y}", "NPLUSX_Z": "a://b:c@d"}
    assert expand("a ${NPLUSX_X} b", given, tmp_path, "here") == "a ${NPLUSX_Y} b"
    assert expand("${NPLUSX_Z}", given, tmp_path, "here") == "a://b:c@d"
    for text in ("${NPLUSX_MISSING}", "${}", "${a b}"):
        with pytest.raises(ConfigurationError, match="no variable"):
            expand(text, {}, tmp_path, "here")


def test_a_secret_may_stand_in_a_file_beside_the_agents(tmp_path: Path) -> None:
    text = GOOD.replace("${NPLUSX_U8_PASSWORD}", "${file:secrets/u8}")
    file = write(tmp_path, text)
    assert "${file:secrets/u8}" in str(load_agent(file).sources[0].way)
    with pytest.raises(ConfigurationError, match=r"secrets/u8 cannot be read"):
        load_agent(file, {})
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "u8").write_text("p:1\n", "utf-8")
    assert load_agent(file, {}).sources[0].way == SqlSource(
        "postgresql://reader:p%3A1@127.0.0.1/ufdata"
    )
