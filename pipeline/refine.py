"""Refine: from landing to current state and marts, deterministic, at any time again."""

from kernel.log import logger
from pipeline import lineage, wiring
from pipeline.settings import Settings, read_settings
from warehouse.rebuild import ensure_landing, newest_facts, rebuild
from warehouse.store import TableStore
from warehouse.tables import SqlTable, core_tables, mart_tables, needed_for


def refine(settings: Settings | None = None) -> dict[str, object]:
    """Compute the core and mart tables whose inputs have changed."""
    settings = settings or read_settings()
    store = wiring.store(settings)
    tables = wanted(store)
    with lineage.told(settings, "refine.refine") as run:
        ensure_landing(store, tables)
        built = rebuild(store, wiring.engine(), tables)
        run.computed(store, built)
    renewed = {each.name: each.version for each in built if each.is_new}
    logger("refine").info("refined", tables=len(built), renewed=len(renewed))
    return {"tables": {each.name: each.version for each in built}, "renewed": sorted(renewed)}


def has_run(settings: Settings | None = None) -> bool:
    """Tell whether everything was refined at least once."""
    store = wiring.store(settings or read_settings())
    return all(store.exists(each.name) for each in wanted(store))


def behind(settings: Settings | None = None) -> dict[str, int]:
    """List the landing tables that moved past what was made of them, with their versions."""
    store = wiring.store(settings or read_settings())
    found = {}
    for core in core_tables():
        (landing,) = core.reads
        if store.exists(landing):
            version = store.open(landing).version
            made = newest_facts(store.open(core.name)) if store.exists(core.name) else {}
            if made.get("reads") != {landing: version}:
                found[landing] = version
    return found


def wanted(store: TableStore) -> tuple[SqlTable, ...]:
    """List the marts with all that they read, and the current state of whatever has landed."""
    known = [*core_tables(), *mart_tables()]
    landed = [each.name for each in core_tables() if store.exists(each.reads[0])]
    return needed_for([*landed, *(each.name for each in mart_tables())], known)
