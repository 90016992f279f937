"""Seal: a decision and its inputs become an evidence pack that anybody can recompute.

Wakes when there are decisions, and hourly because a wake-up may be lost.
"""

from airflow.sdk import DAG, Asset, AssetOrTimeSchedule, task
from airflow.sdk import CronTriggerTimetable as Cron

from dags.defaults import TASK

DECISION = Asset("x-nplusx://county/decision")
EVIDENCE = Asset("x-nplusx://county/evidence")

with DAG(
    "seal",
    schedule=AssetOrTimeSchedule(timetable=Cron("15 * * * *", timezone="UTC"), assets=[DECISION]),
    max_active_runs=1,
    default_args=TASK,
    tags=["stage:seal"],
    doc_md=__doc__,
):

    @task(outlets=[EVIDENCE])
    def seal() -> None:
        """Seal the decisions that have no pack yet."""
        from pipeline.seal import seal as work

        work()

    seal()
