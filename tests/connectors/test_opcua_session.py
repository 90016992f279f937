"""A session ends whatever happens, and whatever happens is not the end."""

import asyncio
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from threading import Thread

import pytest
from asyncua import Client as AsyncClient

from connectors.opcua_plan import Server
from connectors.wires.opcua import Session
from connectors.wires.opcua_keeper import Keeper
from kernel.errors import DependencyUnavailableError
from tests.broker import free_port
from tests.connectors.machines.opcua_reading import (
    Reader,
    connector,
    plan,
    running,
    url,
)

pytestmark = pytest.mark.real_system


def test_it_ends_although_its_buffer_is_full_of_history(tmp_path: Path) -> None:
    said = {"port": free_port(), "history": str(tmp_path / "history.sqlite")}
    how = plan("Counters/Good")
    with running(tmp_path, **said) as first, closing(connector(url(first))) as made:
        reader = Reader(made, how)
        reader.until(1)
    with running(tmp_path, **said, missed=20) as second:
        full = connector(url(second), buffer_rows=0)
        with pytest.raises(DependencyUnavailableError, match="in time"):
            full.read(replace(how), reader.cursor)
        ended = Thread(target=full.close, daemon=True)
        ended.start()
        ended.join(10)
        assert not ended.is_alive()


def test_a_session_that_cannot_be_used_is_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, reached = list[AsyncClient](), asyncio.Event()

    async def fail(self: AsyncClient) -> list[str]:
        seen.append(self)
        if len(seen) == 1:
            raise KeyError
        reached.set()
        await asyncio.sleep(60)
        return []

    async def cancelled(address: Server) -> None:
        task = asyncio.create_task(Session.open(address))
        await reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    monkeypatch.setattr(AsyncClient, "get_namespace_array", fail)
    with running(tmp_path) as made:
        with pytest.raises(DependencyUnavailableError, match="KeyError"):
            asyncio.run(Session.open(Server(url(made))))
        asyncio.run(cancelled(Server(url(made))))
    assert [each.uaclient.state.name for each in seen] == ["DISCONNECTED"] * 2


def test_an_error_that_nobody_thought_of_is_not_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, calls = Keeper._wanted, list[int]()

    async def odd(self: Keeper, *said: object) -> object:
        calls.append(1)
        if len(calls) == 1:
            raise KeyError
        return await good(self, *said)

    monkeypatch.setattr(Keeper, "_wanted", odd)
    with running(tmp_path) as made, closing(connector(url(made))) as line:
        assert Reader(line, plan()).until(1)
