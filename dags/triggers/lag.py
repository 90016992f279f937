"""Wakes the land DAG when the bus moved past the tables."""

import asyncio
from collections.abc import AsyncIterator, Mapping

from airflow.triggers.base import BaseEventTrigger, TriggerEvent
from typing_extensions import override

from kernel import clock
from kernel.ids import ContractId
from kernel.log import logger
from pipeline.settings import read_settings

_LONGEST_PAUSE_SECONDS = 60.0


class LagTrigger(BaseEventTrigger):
    """Fires when ends moved since its last event; reminds now and then of a lag that stays."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow left it without types

    @override
    def serialize(self) -> tuple[str, dict[str, object]]:
        """Name the class by the path under which every component imports it."""
        return "dags.triggers.lag.LagTrigger", {}

    @override
    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look, tell, wait, for ever: a trigger that ends is never asked again."""
        from pipeline.land import lag

        settings = read_settings().land
        told: dict[ContractId, Mapping[int, int]] = {}
        told_at = clock.monotonic()
        pause = settings.poll_seconds
        while True:
            try:
                found = await asyncio.to_thread(lag)
            except Exception as broken:  # noqa: BLE001  # whatever it is, the next look may succeed
                pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
                logger("lag").warning("lag unknown", error=str(broken), again_in_seconds=pause)
            else:
                pause = settings.poll_seconds
                behind = {name: at.ends for name, at in found.items() if at.is_behind}
                moved = any(told.get(name) != ends for name, ends in behind.items())
                is_due = clock.monotonic() - told_at >= settings.nudge_seconds
                if behind and (moved or is_due):
                    told, told_at = {**told, **behind}, clock.monotonic()
                    yield TriggerEvent.model_validate({"payload": {"contracts": sorted(behind)}})
            await asyncio.sleep(pause)
