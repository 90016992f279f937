"""State folders that an unprivileged database can reach, and stacks that are gone after."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline.settings import (
    AirflowSettings,
    DemoSettings,
    KafkaSettings,
    PortalSettings,
    Settings,
    StateSettings,
)
from pipeline.stack import processes
from pipeline.stack.embedded import Stack
from tests.broker import free_port, jars


@pytest.fixture
def state() -> Iterator[Path]:
    base = Path(tempfile.mkdtemp(prefix="nplusx-test-"))
    base.chmod(0o711)
    yield base / "state"
    shutil.rmtree(base)


@pytest.fixture
def settings_at() -> Callable[[Path], Settings]:
    def build(state: Path) -> Settings:
        return Settings(
            state=StateSettings(dir=state),
            kafka=KafkaSettings(port=free_port(), controller_port=free_port(), heap_mb=256),
            demo=DemoSettings(factories=1),
            airflow=AirflowSettings(port=free_port(), parallelism=1),
            portal=PortalSettings(port=free_port()),
        )

    return build


@pytest.fixture
def stack_at(settings_at: Callable[[Path], Settings]) -> Iterator[Callable[[Path], Stack]]:
    jars()
    made: list[tuple[Stack, Path]] = []

    def build(state: Path) -> Stack:
        stack = Stack(settings_at(state))
        made.append((stack, state))
        return stack

    yield build
    for stack, state in made:
        stack.down()
        assert processes.marked(state) == []
