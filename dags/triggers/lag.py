"""Wake a stage when its input moved past its tables, whoever moved it."""

import asyncio
from abc import abstractmethod
from collections.abc import AsyncIterator, Mapping

from airflow.triggers.base import BaseEventTrigger, TriggerEvent
from typing_extensions import override

from kernel import clock
from kernel.log import logger
from pipeline.settings import read_settings

_LONGEST_PAUSE_SECONDS = 60.0
# A net for what the land DAG does not tell: a look opens each table.
_MOVED_SECONDS = 10.0
# Whatever waits, by its name, and how far it has moved.
Waiting = Mapping[str, object]


class Lag(BaseEventTrigger):
    """Fires when what waits moved since its last event, and reminds of what stays."""

    # What the event calls the names of what waits.
    what = "tables"

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow left it without types

    @abstractmethod
    def look(self) -> Waiting:
        """Tell what waits for the stage now."""

    @abstractmethod
    def poll_seconds(self) -> float:
        """Tell how often to look."""

    @override
    def serialize(self) -> tuple[str, dict[str, object]]:
        """Name the class by the path under which every component imports it."""
        return f"dags.triggers.lag.{type(self).__name__}", {}

    @override
    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look, tell, wait, for ever: a trigger that ends is never asked again."""
        nudge, told = read_settings().land.nudge_seconds, dict[str, object]()
        told_at = clock.monotonic()
        pause = self.poll_seconds()
        while True:
            try:
                waiting = await asyncio.to_thread(self.look)
            except Exception as broken:  # noqa: BLE001  # whatever it is, the next look may succeed
                pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
                logger("lag").warning("lag unknown", error=str(broken), again_in_seconds=pause)
            else:
                pause = self.poll_seconds()
                moved = any(told.get(name) != at for name, at in waiting.items())
                is_due = clock.monotonic() - told_at >= nudge
                if waiting and (moved or is_due):
                    told, told_at = {**told, **waiting}, clock.monotonic()
                    yield TriggerEvent.model_validate({"payload": {self.what: sorted(waiting)}})
            await asyncio.sleep(pause)


class LagTrigger(Lag):
    """Wakes the land DAG when the bus moved past the tables."""

    what = "contracts"

    @override
    def look(self) -> Waiting:
        from pipeline.land import lag

        return {name: at.ends for name, at in lag().items() if at.is_behind}

    @override
    def poll_seconds(self) -> float:
        return read_settings().land.poll_seconds


class RefineTrigger(Lag):
    """Wakes what reads landing tables when they moved and the land DAG did not say so.

    `nplusx land`, `--follow` and replays land too; and a task may be killed before it tells.
    """

    @override
    def look(self) -> Waiting:
        from pipeline.refine import behind

        return behind()

    @override
    def poll_seconds(self) -> float:
        return _MOVED_SECONDS
