"""Land: every record of the bus once into its table, or into quarantine with reasons.

Wakes when the bus moved past the tables, and every five minutes because a wake-up may be lost.
The work list comes from the tables' watermarks, so a lost, doubled or late wake-up changes nothing.
"""

from collections.abc import Iterator, Sequence
from typing import cast

from airflow.sdk import DAG, Asset, AssetOrTimeSchedule, AssetWatcher, Metadata, TriggerRule, task
from airflow.sdk import CronTriggerTimetable as Cron
from pydantic import JsonValue

from dags.defaults import TASK
from dags.triggers.lag import LagTrigger

Landed = dict[str, JsonValue]
LAG = Asset("bus_lag", watchers=[AssetWatcher(name="lag", trigger=LagTrigger())])
LANDING = Asset("x-nplusx://county/landing")

with DAG(
    "land",
    schedule=AssetOrTimeSchedule(timetable=Cron("*/5 * * * *", timezone="UTC"), assets=[LAG]),
    max_active_runs=1,
    default_args=TASK,
    tags=["stage:land"],
    doc_md=__doc__,
):

    @task
    def plan() -> list[str]:
        """List the contracts whose table stands behind the bus."""
        from pipeline.land import behind

        return behind()

    @task(map_index_template="{{ task.op_kwargs['contract'] }}", max_active_tis_per_dagrun=4)
    def land_one(contract: str) -> Landed:
        """Land one contract; its failure holds back no other."""
        from pipeline.land import land

        return cast("Landed", land(contract))

    @task(outlets=[LANDING], trigger_rule=TriggerRule.ALL_DONE_MIN_ONE_SUCCESS)
    def report(landed: Sequence[Landed]) -> Iterator[Metadata]:
        """Wake the next stage with the facts, each by contract."""
        facts = {key: {str(one["contract_id"]): one[key] for one in landed} for key in landed[0]}
        yield Metadata(LANDING, cast("Landed", facts))

    @task
    def settle(landed: Sequence[Landed]) -> int:
        """Keep the run red when a contract did not land, although the others went on."""
        return len(landed)

    done = cast("list[Landed]", land_one.expand(contract=plan()))
    report(done)
    settle(done)
