"""Measure: from core and mart tables to the one long table of metrics."""

from kernel.log import logger
from pipeline import lineage, wiring
from pipeline.settings import Settings, read_settings
from warehouse.metric import gather
from warehouse.rebuild import rebuild
from warehouse.tables import metric_tables


def measure(settings: Settings | None = None) -> dict[str, object]:
    """Compute the metrics whose inputs have changed and gather them."""
    settings = settings or read_settings()
    store = wiring.store(settings)
    with lineage.told(settings, "measure.measure") as run:
        built = rebuild(store, wiring.engine(), metric_tables())
        version = gather(store, metric_tables())
        run.computed(store, built)
    rows = sum(each.rows for each in built)
    logger("measure").info("measured", metrics=len(built), rows=rows)
    return {"table_version": version, "metrics": sorted(each.name for each in built), "rows": rows}
