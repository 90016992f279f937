"""Doctor: proves, stream by stream, that what was produced was landed, quarantined or repeated.

Looks every ten minutes at gaps, lag and stale sources; red means that somebody should look too.
"""

from airflow.sdk import DAG, task
from airflow.sdk import CronTriggerTimetable as Cron

from dags.defaults import CHECK

with DAG(
    "doctor",
    schedule=Cron("*/10 * * * *", timezone="UTC"),
    max_active_runs=1,
    default_args=CHECK,
    tags=["stage:land", "check"],
    doc_md=__doc__,
):

    @task
    def diagnose() -> None:
        """Check the equation of every stream."""
        from pipeline.doctor import diagnose as work

        work()

    diagnose()
