"""Folders, files and ports of a stack, without any process of it."""

import errno
import os
import stat
from pathlib import Path

import pytest

from kernel.errors import ConfigurationError, DependencyUnavailableError
from pipeline.settings import Settings
from pipeline.stack import assembly, broker, layout, ports, signals
from pipeline.stack.assembly import Assembly
from pipeline.stack.layout import Layout, readable_disk_errors
from pipeline.stack.program import Program, write_configuration


@pytest.fixture
def place(tmp_path: Path) -> Layout:
    found = Layout(tmp_path / "state")
    found.prepare()
    return found


def test_secrets_are_made_once_and_private(place):
    made = iter(["first", "second"])
    assert place.secret("key", lambda: next(made)) == "first"
    assert place.secret("key", lambda: next(made)) == "first"
    assert stat.S_IMODE((place.secrets / "key").stat().st_mode) == 0o600


def test_a_deep_folder_gets_a_short_socket(tmp_path):
    deep = Layout(tmp_path / ("x" * 120))
    assert len(os.fsencode(deep.socket)) < 90
    assert deep.socket != Layout(tmp_path / ("y" * 120)).socket


@pytest.mark.parametrize(
    ("number", "error", "says"),
    [
        (errno.ENOSPC, DependencyUnavailableError, "disk is full"),
        (errno.EACCES, ConfigurationError, "NPLUSX_STATE_DIR"),
        (errno.EROFS, ConfigurationError, "NPLUSX_STATE_DIR"),
    ],
)
def test_what_the_disk_refuses_has_a_cure(number, error, says):
    with pytest.raises(error, match=says), readable_disk_errors(Path("there")):
        raise OSError(number, os.strerror(number))


def test_a_nearly_full_disk_is_told_before_anything_starts(tmp_path, monkeypatch):
    monkeypatch.setattr(layout, "_LEAST_FREE_BYTES", 1 << 62)
    with pytest.raises(DependencyUnavailableError, match="nearly full"):
        Layout(tmp_path / "state").prepare()


def test_a_file_in_place_of_the_folder_is_told(tmp_path):
    (tmp_path / "state").write_text("", "utf-8")
    with pytest.raises(ConfigurationError, match="cannot be used"):
        Layout(tmp_path / "state").prepare()


def test_purge_removes_only_what_we_made(tmp_path, place):
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    with pytest.raises(ConfigurationError, match="not made by nplusx"):
        Layout(foreign).purge()
    assert foreign.exists()
    place.purge()
    place.purge()
    assert not place.state.exists()


def test_every_setting_reaches_the_children(place, monkeypatch):
    monkeypatch.setenv("NPLUSX_LAND_POLL_SECONDS", "2.5")
    settings = Settings()
    told = Assembly(settings, place, ports.wished(settings)).environment
    assert told["NPLUSX_LAND_POLL_SECONDS"] == "2.5"
    assert told["NPLUSX_STATE_DIR"] == str(place.state)
    assert "NPLUSX_PORTAL_SECRET_FILE" not in told
    # The file of the county's own agent names it, here as in compose.
    assert told["NPLUSX_REGISTRY_URL"] == settings.registry_url


def test_the_configuration_survives_odd_names_and_hides_the_environment(tmp_path):
    place = Layout(tmp_path / "50% done")
    place.prepare()
    program = Program("kafka", ("java", "a b"), {"KEY": 'va"l%ue'}, place.kafka)
    write_configuration(place, [program])
    text = place.configuration.read_text("utf-8")
    assert "50%% done" in text
    assert "va" + '"l' not in text
    assert Program.read(place.specs / "kafka.json") == program


@pytest.mark.parametrize("name", ["Upper", "has space", "[x]"])
def test_an_agent_with_an_odd_name_is_refused(place, name):
    (place.agents / f"{name}.yaml").write_text("", "utf-8")
    with pytest.raises(ConfigurationError, match="agent"):
        assembly.agents(place)


def test_a_wrong_java_is_named(tmp_path, monkeypatch):
    java = tmp_path / "java"
    java.write_text("#!/bin/sh\necho 'java version \"1.8.0_401\"' >&2\n", "utf-8")
    java.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(DependencyUnavailableError, match=r"Java 17.*1\.8"):
        broker.java()


def test_a_signal_ends_a_block_and_a_deaf_block_ends_itself():
    with pytest.raises(signals.InterruptedBySignal), signals.interruptible():
        os.kill(os.getpid(), signals.signal.SIGTERM)
    finished = False
    with signals.deafened():
        os.kill(os.getpid(), signals.signal.SIGTERM)
        finished = True
    assert finished
