"""Audit: the independent second opinion on what was landed and what was quarantined.

Follows landing with its own watermark; landing never waits. It stays red until each
disagreement with the gate is resolved. Beside it, promises across rows are asked.
"""

from airflow.sdk import DAG, Asset, AssetOrTimeSchedule, task
from airflow.sdk import CronTriggerTimetable as Cron

from dags.defaults import CHECK

LANDING = Asset("x-nplusx://county/landing")

with DAG(
    "audit",
    schedule=AssetOrTimeSchedule(timetable=Cron("20 * * * *", timezone="UTC"), assets=[LANDING]),
    max_active_runs=1,
    default_args=CHECK,
    tags=["stage:land", "check"],
    doc_md=__doc__,
):

    @task
    def audit() -> None:
        """Run the Great Expectations suites over what landed since the last audit."""
        from pipeline.audit import audit as work

        work()

    @task
    def promises() -> None:
        """Ask what is promised across rows, of tables that have changed since the last time."""
        from pipeline.promises import check as work

        work()

    audit()
    promises()
