"""What must be the same however often something was killed on the way: tables and decision."""

from kernel import canonical
from pipeline import wiring
from pipeline.assess import decisions
from pipeline.settings import Settings
from warehouse import attempts, ledger, quarantine
from warehouse.tables import core_tables, mart_tables

# Where a row stood on the bus, and when, may differ between two runs; what it says may not.
_PLACES = {"_broker_at", "_origin", "_stream", "origin", "as_of", "versions"}


def tables(settings: Settings) -> dict[str, list[str]]:
    """Give every table's rows without their places on the bus."""
    store = wiring.store(settings)
    found: dict[str, list[str]] = {}
    computed = [each.name for each in (*core_tables(), *mart_tables()) if store.exists(each.name)]
    for name in [*computed, "metric"]:
        rows = store.open(name).dataset().to_table()
        said = rows.drop_columns([name for name in rows.column_names if name in _PLACES])
        found[name] = sorted(canonical.dumps(row).decode() for row in said.to_pylist())
    for table in core_tables():
        (landing,) = table.reads
        if not store.exists(landing):
            continue
        counted = store.open(landing).dataset().to_table(["_stream", "_sequence", "_row"])
        found[landing] = sorted(canonical.dumps(row).decode() for row in counted.to_pylist())
    refused = attempts.visible(store, quarantine.QUARANTINE, quarantine.SCHEMA)
    said = refused.select(["contract", "business_key", "reasons", "raw"]).to_pylist()
    found["quarantine"] = sorted(repr(row) for row in said)
    sealed = [(entry["number"], entry["claim_id"]) for entry in ledger.entries(store)]
    found["ledger"] = [repr(each) for each in sealed]
    return found


def decision(settings: Settings) -> dict[str, object]:
    """Give the decision that counts, without the places of its evidence."""
    (row,) = decisions(wiring.store(settings))
    content = row["decision"]
    said = canonical.loads(content if isinstance(content, bytes) else b"")
    assert isinstance(said, dict)
    lines = [
        {
            **{key: line[key] for key in ("line_no", "outcome", "claimed_cny", "allowed_cny")},
            "rules": [(each["rule"], each["outcome"]) for each in line["verdicts"]],
        }
        for line in said["lines"]
    ]
    return {
        **{key: said[key] for key in ("claim_id", "outcome", "amount_cny", "eligible_cny", "rate")},
        "lines": lines,
    }
