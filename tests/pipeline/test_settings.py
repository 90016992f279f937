"""Settings as a person gets them wrong: what is said, and what is meant by nothing."""

from pathlib import Path

import pytest

from kernel.errors import ConfigurationError
from pipeline.settings import Settings, read_settings
from pipeline.stack import ports, processes
from pipeline.stack.assembly import Assembly
from pipeline.stack.layout import Layout


def test_an_empty_variable_is_one_that_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    default = read_settings()
    for name in ("STATE_DIR", "KAFKA_PORT", "LAKE_URI", "LOG_JSON_LINES", "PORTAL_SECRET_FILE"):
        monkeypatch.setenv(f"NPLUSX_{name}", "")
    assert read_settings() == default


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("NPLUSX_STATE_DIRS", "NPLUSX_STATE_DIR"),
        ("NPLUSX_STAT_DIR", "NPLUSX_STATE_DIR"),
        ("NPLUSX_KAFKA_BOOTSTRAP", "NPLUSX_KAFKA_BOOTSTRAP_SERVERS"),
        ("NPLUSX_KAFKA_BOOTSTRAP_SERVER", "NPLUSX_KAFKA_BOOTSTRAP_SERVERS"),
        ("NPLUSX_LAKEURI", "NPLUSX_LAKE_URI"),
        ("nplusx_portal_prot", "NPLUSX_PORTAL_PORT"),
    ],
)
def test_a_misspelt_variable_is_an_error_that_names_the_right_one(
    monkeypatch: pytest.MonkeyPatch, wrong: str, right: str
) -> None:
    monkeypatch.setenv(wrong, "x")
    with pytest.raises(ConfigurationError) as told:
        read_settings()
    assert f"There is no setting {wrong.upper()}" in str(told.value)
    assert f"write {right}" in str(told.value)


def test_a_variable_of_a_known_area_is_a_setting_or_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NPLUSX_KAFKA_COLOUR", "red")
    with pytest.raises(ConfigurationError, match=r"docs/reference/settings\.md"):
        read_settings()


def test_secrets_of_agents_and_what_the_stack_tells_its_children_pass(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NPLUSX_U8", "a password that an agent's file names")
    settings = Settings()
    told = Assembly(settings, Layout(tmp_path), ports.wished(settings)).environment
    for name, value in {**told, processes.PROGRAM: "portal"}.items():
        monkeypatch.setenv(name, value)
    assert read_settings().state_dir == tmp_path


@pytest.mark.parametrize(
    "servers",
    ["kafka", "kafka:", ":9092", "kafka:port", "kafka:0", "kafka:65536", "a:1,,b:2", "http://a:1"],
)
def test_brokers_that_are_no_addresses_are_refused_before_any_is_asked(
    monkeypatch: pytest.MonkeyPatch, servers: str
) -> None:
    monkeypatch.setenv("NPLUSX_KAFKA_BOOTSTRAP_SERVERS", servers)
    with pytest.raises(ConfigurationError) as told:
        read_settings()
    assert "NPLUSX_KAFKA_BOOTSTRAP_SERVERS is not usable" in str(told.value)
    assert "host:port" in str(told.value)
    assert "Value error" not in str(told.value)


@pytest.mark.parametrize("servers", ["kafka:9092", "10.0.0.1:1,b.example:65535", "[::1]:9092"])
def test_brokers_that_are_addresses_pass(monkeypatch: pytest.MonkeyPatch, servers: str) -> None:
    monkeypatch.setenv("NPLUSX_KAFKA_BOOTSTRAP_SERVERS", servers)
    assert read_settings().bootstrap_servers == servers
