"""Measure: metrics and targets from the refined tables.

Wakes when those moved, and hourly because a wake-up may be lost.
"""

from airflow.sdk import DAG, Asset, AssetOrTimeSchedule, task
from airflow.sdk import CronTriggerTimetable as Cron
from airflow.sdk.exceptions import AirflowSkipException

from dags.defaults import TASK

CORE = Asset("x-nplusx://county/core")
METRIC = Asset("x-nplusx://county/metric")

with DAG(
    "measure",
    schedule=AssetOrTimeSchedule(timetable=Cron("5 * * * *", timezone="UTC"), assets=[CORE]),
    max_active_runs=1,
    default_args=TASK,
    tags=["stage:measure"],
    doc_md=__doc__,
):

    @task(outlets=[METRIC])
    def measure() -> None:
        """Compute the metrics that the refined tables touch."""
        from pipeline.measure import measure as work
        from pipeline.refine import has_run

        if not has_run():
            raise AirflowSkipException("refine has not run yet: the end of it wakes this stage.")
        work()

    measure()
