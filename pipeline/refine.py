"""Refine: from landing to current state and marts, deterministic, at any time again."""

from kernel.log import logger
from pipeline import lineage, wiring
from pipeline.settings import Settings, read_settings
from warehouse.rebuild import ensure_landing, rebuild
from warehouse.tables import core_tables, mart_tables


def refine(settings: Settings | None = None) -> dict[str, object]:
    """Compute the core and mart tables whose inputs have changed."""
    settings = settings or read_settings()
    store = wiring.store(settings)
    with lineage.told(settings, "refine.refine") as run:
        ensure_landing(store)
        built = rebuild(store, wiring.engine(), [*core_tables(), *mart_tables()])
        run.computed(store, built)
    renewed = {each.name: each.version for each in built if each.is_new}
    logger("refine").info("refined", tables=len(built), renewed=len(renewed))
    return {"tables": {each.name: each.version for each in built}, "renewed": sorted(renewed)}
