"""`nplusx verify`, `explain` and `key` as a person runs them."""

import base64
import shutil
from pathlib import Path

import pytest

from kernel.evidence import PublicKey
from pipeline import wiring
from pipeline.assess import decisions
from pipeline.seal import pack_path, seal
from pipeline.settings import read_settings
from registry.kinds import EnterpriseKind
from registry.people import Enterprise, save_enterprise
from tests.flow.bad_input.command import Shell
from tests.pipeline.world import FACTORY, World, play


def _pack(world: World) -> str:
    return str(pack_path(world.settings, decisions(world.store)[0]))


def test_an_unpinned_county_key_is_said_plainly_and_how_to_pin_it(
    played: World, shell: Shell, tmp_path: Path
) -> None:
    bare = shell("verify", _pack(played))
    assert bare.code == 0
    assert "NOT pinned" in bare.out
    for said in ("not pinned", "nplusx key", "--key"):
        assert said in bare.err
    (tmp_path / "county.pub").write_text(shell("key").out)
    pinned = shell("verify", _pack(played), "--key", str(tmp_path / "county.pub"))
    assert pinned.code == 0
    assert "NOT pinned" not in pinned.out
    assert "not pinned" not in pinned.err


def test_the_public_key_is_printed_and_nothing_else(played: World, shell: Shell) -> None:
    said = shell("key")
    key = PublicKey(base64.b64decode(said.out.strip(), validate=True))
    assert key == wiring.county_key(played.settings).public
    assert said.out.count("\n") == 1
    assert wiring.county_key(played.settings).text not in said.out + said.err


def test_agents_keys_are_exported_and_pinned(played: World, shell: Shell, tmp_path: Path) -> None:
    keys = tmp_path / "agents.json"
    keys.write_text(shell("key", "--agents").out)
    assert shell("verify", _pack(played), "--keys", str(keys)).code == 0
    keys.write_text('{"enterprises": {}, "keys": {}}')
    shell("verify", _pack(played), "--keys", str(keys)).failed(5, "key is unknown")
    for text in ("", "[]", "{}", '{"a": 1}'):
        keys.write_text(text)
        shell("verify", _pack(played), "--keys", str(keys)).failed(2, "agents.json", "--agents")
    shell("verify", _pack(played), "--keys", str(tmp_path / "none")).failed(2, "cannot be read")


def test_the_drill_says_of_each_file_what_noticed(played: World, shell: Shell) -> None:
    said = shell("verify", _pack(played), "--drill").out
    for name in ("records.parquet", "enterprises.json", "manifest.dsse.json", "sealer.pub"):
        assert f"drill: {name}" in said


def test_unsigned_records_are_said_aloud_and_named_in_the_walk(world: World, shell: Shell) -> None:
    save_enterprise(
        wiring.registry(world.settings),
        Enterprise(FACTORY, "工厂", EnterpriseKind.FACTORY, "330523", "C2130", True),
    )
    world.keys[FACTORY] = None
    play(world)
    said = shell("verify", _pack(world))
    assert said.code == 0
    assert "unsigned" in said.err
    assert FACTORY in said.err
    walked = shell("explain", "CL-2024-001").out
    assert "unsigned (the enterprise may send so)" in walked
    assert "with key \n" not in walked


def test_a_lost_county_key_is_not_made_anew(
    played: World, shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = shutil.copytree(played.settings.state_dir, tmp_path / "copy")
    monkeypatch.setenv("NPLUSX_STATE_DIR", str(copy))
    key = copy / "keys" / "county.key"
    text = key.read_text()
    key.unlink()
    shell("key").failed(2, "county.key", "restore")
    assert not key.exists()
    key.write_text(base64.b64encode(b"\x08" * 32).decode())
    shell("key").failed(5, "county.key", "restore")
    key.write_text(text)
    assert shell("key").code == 0


def test_a_new_county_gets_a_key(world: World) -> None:
    made = wiring.county_key(world.settings)
    assert wiring.county_key(read_settings()) == made
    assert seal()["sealed"] == []
