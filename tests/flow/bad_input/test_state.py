"""A state folder that is wrong, full or closed: nothing is lost, and a rerun works."""

import base64
import shutil
import sqlite3
from pathlib import Path

import pytest
from pyarrow import fs

from pipeline.doctor import examine
from tests.flow.bad_input.command import Shell, as_anybody, beside, full_disk
from tests.pipeline.world import CLAIM, World, send_books, send_dossier
from warehouse.delta import DeltaStore


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("KAFKA_PORT", "many"),
        ("KAFKA_PARTITIONS", "0"),
        ("KAFKA_HEAP_MB", "1"),
        ("LAND_COMMIT_SECONDS", "nan"),
        ("LOG_LEVEL", "loud"),
        ("LOG_JSON_LINES", "maybe"),
    ],
)
def test_a_wrong_setting_is_named(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"NPLUSX_{name}", value)
    shell("refine").failed(2, f"NPLUSX_{name} is not usable", "or unset it")


def test_a_place_that_can_hold_no_tables_is_named(
    world: World, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NPLUSX_LAKE_URI", "nonsense://x")
    shell("doctor").failed(2, "nonsense://x", "NPLUSX_LAKE_URI")
    monkeypatch.setenv("NPLUSX_LAKE_URI", "/dev/null/lake")
    shell("refine").failed(4, "/dev/null/lake", "NPLUSX_LAKE_URI")
    monkeypatch.delenv("NPLUSX_LAKE_URI")
    assert shell("refine").code == 0


@pytest.mark.parametrize("text", [b"", b"xx", b"\xff\xfe"])
def test_a_corrupted_county_key_seals_nothing_and_is_never_replaced(
    state: Path, world: World, shell: Shell, monkeypatch: pytest.MonkeyPatch, text: bytes
) -> None:
    monkeypatch.setenv("NPLUSX_STATE_DIR", str(state))
    key = state / "keys" / "county.key"
    kept = key.read_bytes()
    key.write_bytes(text)
    shutil.rmtree(state / "lake" / "ledger")
    shell("seal").failed(2, str(key))
    assert key.read_bytes() == text
    key.write_bytes(kept)
    assert shell("seal").code == 0
    assert shell("doctor").code == 0


def test_another_county_key_is_noticed_as_tampering(
    state: Path, world: World, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NPLUSX_STATE_DIR", str(state))
    key = state / "keys" / "county.key"
    key.write_text(base64.b64encode(b"\x08" * 32).decode())
    shell("doctor").failed(5, "the ledger is sealed by", str(key))
    key.unlink()
    shell("doctor").failed(1, "is missing", str(key), "restore")
    assert not key.exists()


def test_a_registry_of_a_newer_version_is_left_alone(state: Path, shell: Shell) -> None:
    shutil.rmtree(state / "lake" / "ledger")
    with sqlite3.connect(state / "registry.sqlite") as database:
        (known,) = database.execute("select version_num from alembic_version").fetchone()
        database.execute("update alembic_version set version_num = '9999'")
    shell("seal").failed(2, "version 9999", "registry.sqlite", "install the newer nplusx")
    with sqlite3.connect(state / "registry.sqlite") as database:
        database.execute("update alembic_version set version_num = ?", (known,))
    assert shell("seal").code == 0


def test_a_registry_that_is_no_database_is_named(state: Path, shell: Shell) -> None:
    shutil.rmtree(state / "lake" / "ledger")
    for beside_it in state.glob("registry.sqlite-*"):
        beside_it.unlink()
    (state / "registry.sqlite").write_text("garbage" * 100, "utf-8")
    shell("seal").failed(4, "not a database", "registry.sqlite")


@pytest.mark.parametrize("room", [0, 1_500, 5_000])
def test_a_full_disk_loses_nothing_and_doubles_nothing(
    world: World, shell: Shell, room: int
) -> None:
    send_books(world)
    send_dossier(world)
    with full_disk(room):
        done = shell("land")
        assert done.code == 4, done
        assert "nothing that was landed is lost" in done.err
    assert shell("land").code == 0
    health = examine(world.settings)
    assert health.findings == ()
    assert sum(each.landed for each in health.streams) == 19
    assert shell("land").code == 0
    assert sum(each.produced for each in examine(world.settings).streams) == 19


def test_every_stage_goes_on_once_there_is_room(world: World, shell: Shell) -> None:
    send_books(world)
    send_dossier(world)
    world.land()
    for stage in ("refine", "measure", "assess", "seal"):
        with full_disk(400):
            shell(stage).failed(4)
        assert shell(stage).code == 0, stage
    assert [path.suffix for path in (world.settings.state_dir / "packs").iterdir()] == [".zip"]
    pack = next((world.settings.state_dir / "packs").iterdir())
    assert shell("verify", str(pack)).code == 0
    assert shell("doctor").code == 0


def test_what_may_not_be_looked_at_never_passes_for_empty(state: Path) -> None:
    lake = state / "lake"
    lake.chmod(0)
    try:
        for words in (("seal",), ("explain", CLAIM), ("doctor",), ("refine",)):
            done = beside(*words, before=as_anybody, NPLUSX_STATE_DIR=str(state))
            done.failed(4, str(lake), "permission")
    finally:
        lake.chmod(0o755)
    done = beside("explain", CLAIM, before=as_anybody, NPLUSX_STATE_DIR=str(state))
    assert done.code == 0, done.err


def test_a_data_file_that_may_not_be_read_is_named(state: Path) -> None:
    hidden = next((state / "lake" / "decision").glob("*.parquet"))
    hidden.chmod(0)
    done = beside("explain", CLAIM, before=as_anybody, NPLUSX_STATE_DIR=str(state))
    done.failed(4, hidden.name, "permission")
    hidden.chmod(0o644)
    assert beside("explain", CLAIM, NPLUSX_STATE_DIR=str(state)).code == 0


def test_a_state_folder_that_may_not_be_written_is_named(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o555)
    variables = {"NPLUSX_STATE_DIR": str(closed / "state")}
    for words, code in ((("refine",), 4), (("up",), 2)):
        beside(*words, before=as_anybody, **variables).failed(code, str(closed))


def test_tables_are_read_without_python_objects_on_arrow_s_threads(state: Path) -> None:
    """A Python file system aborted processes that scanned a table just before their end."""
    handle = DeltaStore(str(state / "lake")).open("decision")
    (fragment, *_) = handle.dataset().get_fragments()
    assert isinstance(fragment.filesystem.base_fs, fs.LocalFileSystem)
