"""Refine: landed rows become current state, history and what a reader wants.

Wakes when something landed, and each quarter of an hour because a wake-up may be lost.
"""

from collections.abc import Iterator
from typing import cast

from airflow.sdk import DAG, Asset, AssetOrTimeSchedule, Metadata, task
from airflow.sdk import CronTriggerTimetable as Cron
from pydantic import JsonValue

from dags.defaults import TASK

LANDING = Asset("x-nplusx://county/landing")
CORE = Asset("x-nplusx://county/core")

with DAG(
    "refine",
    schedule=AssetOrTimeSchedule(timetable=Cron("*/15 * * * *", timezone="UTC"), assets=[LANDING]),
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
