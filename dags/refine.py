"""Refine: landed rows become current state, history and what a reader wants.

Wakes when something landed, whoever landed it, and each quarter of an hour for what no event
told: a run with nothing to do wakes the stages behind it all the same.
"""

from collections.abc import Iterator
from typing import cast

from airflow.sdk import DAG, Asset, AssetOrTimeSchedule, AssetWatcher, Metadata, task
from airflow.sdk import CronTriggerTimetable as Cron
from pydantic import JsonValue

from dags.defaults import TASK
from dags.triggers.lag import RefineTrigger

MOVED = Asset("landing_lag", watchers=[AssetWatcher(name="moved", trigger=RefineTrigger())])
LANDING = Asset("x-nplusx://county/landing")
CORE = Asset("x-nplusx://county/core")

with DAG(
    "refine",
    schedule=AssetOrTimeSchedule(
        timetable=Cron("*/15 * * * *", timezone="UTC"), assets=LANDING | MOVED
    ),
    max_active_runs=1,
    default_args=TASK,
    tags=["stage:refine"],
    doc_md=__doc__,
):

    @task(outlets=[CORE])
    def refine() -> Iterator[Metadata]:
        """Bring core and mart tables up to what landed."""
        from pipeline.refine import refine as work

        yield Metadata(CORE, cast("dict[str, JsonValue]", work()))

    refine()
