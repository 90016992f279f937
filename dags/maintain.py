"""Maintain: merges small files, clears rows of landings that came to nothing, sweeps old versions.

Runs each night; nothing waits for it, and landing goes on meanwhile.
"""

from airflow.sdk import DAG, task
from airflow.sdk import CronTriggerTimetable as Cron

from dags.defaults import TASK

with DAG(
    "maintain",
    schedule=Cron("30 18 * * *", timezone="UTC"),
    max_active_runs=1,
    default_args=TASK,
    tags=["stage:land"],
    doc_md=__doc__,
):

    @task
    def maintain() -> None:
        """Keep every table small and quick."""
        from pipeline.maintain import maintain as work

        work()

    maintain()
