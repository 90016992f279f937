"""Publish: the resident agents bring the platform's own sources onto the bus.

Asks every five minutes for a round and watches that it ends; agents in factories run by
themselves.
"""

from airflow.sdk import DAG, task
from airflow.sdk import CronTriggerTimetable as Cron

from dags.defaults import TASK

with DAG(
    "publish",
    schedule=Cron("*/5 * * * *", timezone="UTC"),
    max_active_runs=1,
    default_args=TASK,
    tags=["stage:publish"],
    doc_md=__doc__,
):

    @task
    def watch() -> None:
        """Ask the resident agents for a round and watch it."""
        from pipeline.rounds import watch as work

        work()

    watch()
