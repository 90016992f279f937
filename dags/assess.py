"""Assess: facts and dated parameters become decisions with reasons.

Wakes when metrics moved, and hourly because a wake-up may be lost.
"""

from airflow.sdk import DAG, Asset, AssetOrTimeSchedule, task
from airflow.sdk import CronTriggerTimetable as Cron
from airflow.sdk.exceptions import AirflowSkipException

from dags.defaults import TASK

METRIC = Asset("x-nplusx://county/metric")
DECISION = Asset("x-nplusx://county/decision")

with DAG(
    "assess",
    schedule=AssetOrTimeSchedule(timetable=Cron("10 * * * *", timezone="UTC"), assets=[METRIC]),
    max_active_runs=1,
    default_args=TASK,
    tags=["stage:assess"],
    doc_md=__doc__,
):

    @task(outlets=[DECISION])
    def assess() -> None:
        """Decide each open claim anew; the same facts give the same decision."""
        from pipeline.assess import assess as work
        from pipeline.refine import has_run

        if not has_run():
            raise AirflowSkipException("refine has not run yet: the end of it wakes this stage.")
        work()

    assess()
