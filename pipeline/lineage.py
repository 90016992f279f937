"""Lineage: tells each run of a stage as OpenLineage events; their receiver never holds one up."""

import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TypedDict
from urllib.parse import urlsplit
from uuid import UUID

import pyarrow as pa

from contracts.loader import find
from contracts.model import Contract
from contracts.schema import landing_schema
from kernel import canonical, clock
from kernel.log import logger
from pipeline.settings import Settings
from pipeline.web import TROUBLE, call
from warehouse.landing import month_of
from warehouse.rebuild import Built, newest_facts
from warehouse.store import TableStore

Json = Mapping[str, object]
_PRODUCER = "https://nplusx.example"
_SPEC = "https://openlineage.io/spec"
_EVENT = f"{_SPEC}/2-0-2/OpenLineage.json#/$defs/RunEvent"


class _Table(TypedDict):
    namespace: str
    name: str
    facets: dict[str, Json]


@dataclass(slots=True)
class Run:
    """One run of a stage, with what it read and wrote as far as that is known."""

    settings: Settings
    job: str
    id: str = field(default_factory=lambda: str(UUID(bytes=secrets.token_bytes(16), version=4)))
    facets: dict[str, Json] = field(default_factory=dict)
    inputs: list[Json] = field(default_factory=list)
    outputs: list[Json] = field(default_factory=list)

    def landed(self, topic: str, facts: Mapping[str, object]) -> None:
        """Note the offsets that were read of a topic, and the table version that holds them."""
        contract, offsets = find(str(facts["contract_id"])), facts["offsets"]
        self.facets["nplusx_contract"] = _own_facet(
            "contract", {"id": contract.id, "version": facts["contract_version"]}
        )
        spans = offsets if isinstance(offsets, Mapping) else {}
        read = [_span(topic, part, *span) for part, span in spans.items() if span[0] < span[1]]
        condition = {"inputCondition": {"type": "partition", "partitions": read}}
        broker = self.settings.bootstrap_servers.split(",", 1)[0]
        source = {"namespace": f"kafka://{broker}", "name": topic}
        self.inputs.append(
            {
                **source,
                "inputFacets": {
                    "dataQualityMetrics": _facet(
                        "1-0-3/DataQualityMetricsInputDatasetFacet",
                        {"rowCount": facts["rows_in"], "columnMetrics": {}},
                    ),
                    "dataQualityAssertions": _facet(
                        "1-1-0/DataQualityAssertionsDatasetFacet",
                        {"assertions": [_gate(contract, facts["rows_quarantined"])]},
                    ),
                    "inputStatistics": _facet(
                        "1-0-0/InputStatisticsInputDatasetFacet", {"rowCount": facts["rows_in"]}
                    ),
                    **(
                        {"subset": _facet(_SUBSET, condition, "InputSubsetInputDatasetFacet")}
                        if read
                        else {}
                    ),
                },
            }
        )
        written = self._wrote(
            contract.table, facts["table_version"], facts["rows_landed"], landing_schema(contract)
        )
        written["columnLineage"] = _facet(
            "1-2-0/ColumnLineageDatasetFacet",
            {
                "fields": {
                    each.name: {"inputFields": [{**source, "field": each.name}]}
                    for each in contract.properties
                }
            },
        )

    def computed(self, store: TableStore, built: Iterable[Built]) -> None:
        """Note the tables that were computed anew, and from which versions."""
        renewed = [each for each in built if each.is_new]
        inner = {each.name for each in renewed}
        read: dict[str, object] = {}
        for each in renewed:
            handle = store.open(each.name, each.version)
            self._wrote(each.name, each.version, each.rows, handle.dataset().schema)
            reads = newest_facts(handle).get("reads")
            read |= reads if isinstance(reads, dict) else {}
        self.inputs += [
            self._table(name, version)
            for name, version in sorted(read.items())
            if name not in inner
        ]

    def _wrote(
        self, name: str, version: object, rows: object, schema: pa.Schema
    ) -> dict[str, Json]:
        """Note a table that was written; give its facets, for more to be added."""
        counted = _facet("1-0-2/OutputStatisticsOutputDatasetFacet", {"rowCount": rows})
        fields = [{"name": each.name, "type": str(each.type)} for each in schema]
        told = self._table(name, version)
        facets = {
            **told["facets"],
            "schema": _facet("1-2-0/SchemaDatasetFacet", {"fields": fields}),
        }
        self.outputs.append(
            {**told, "facets": facets, "outputFacets": {"outputStatistics": counted}}
        )
        return facets

    def _table(self, name: str, version: object) -> _Table:
        place = urlsplit(self.settings.lake_uri)
        path = f"{place.path.rstrip('/')}/{name}"
        return {
            "namespace": f"{place.scheme}://{place.netloc}" if place.netloc else "file",
            "name": path.lstrip("/") if place.netloc else path,
            "facets": {
                "version": _facet(
                    "1-0-1/DatasetVersionDatasetFacet", {"datasetVersion": str(version)}
                )
            },
        }

    def tell(self, kind: str) -> None:
        """Send an event of this run; trouble with its receiver is logged once, and no more."""
        event = {
            "eventType": kind,
            "eventTime": clock.now().isoformat(),
            "producer": _PRODUCER,
            "schemaURL": _EVENT,
            "run": {"runId": self.id, "facets": self.facets},
            "job": {
                "namespace": "nplusx",
                "name": self.job,
                "facets": {"jobType": _facet("2-0-4/JobTypeJobFacet", _JOB_TYPE)},
            },
            "inputs": self.inputs,
            "outputs": self.outputs,
        }
        try:
            _send(self.settings, canonical.dumps(event))
        except TROUBLE as failed:
            _complain(type(failed).__name__)


_SUBSET = "1-0-0/BaseSubsetDatasetFacet"
_JOB_TYPE = {"processingType": "BATCH", "integration": "NPLUSX", "jobType": "TASK"}


@contextmanager
def told(settings: Settings, job: str) -> Iterator[Run]:
    """Tell of a run: that it began, and how it ended."""
    run = Run(settings, job)
    run.tell("START")
    try:
        yield run
    except BaseException as failed:
        # The kind of error only: its words may quote an address with a password.
        words = {"message": type(failed).__name__, "programmingLanguage": "python"}
        run.facets["errorMessage"] = _facet("1-0-1/ErrorMessageRunFacet", words)
        run.tell("FAIL")
        raise
    run.tell("COMPLETE")


def _gate(contract: Contract, refused: object) -> Json:
    """Say as an assertion what the gate found."""
    return {
        "assertion": "contract",
        "name": contract.id,
        "description": "rows that break a promise of the contract",
        "severity": "error",
        "success": refused == 0,
        "expected": "0",
        "actual": str(refused),
    }


def _span(topic: str, part: str, first: int, end: int) -> Json:
    dimensions = {"partition": int(part), "startOffset": first, "endOffset": end - 1}
    return {"identifier": f"{topic}-{part}", "dimensions": dimensions}


def _facet(schema: str, values: Json, definition: str = "") -> Json:
    version, _, name = schema.partition("/")
    url = f"{_SPEC}/facets/{version}/{name}.json#/$defs/{definition or name}"
    return {"_producer": _PRODUCER, "_schemaURL": url, **values}


def _own_facet(name: str, values: Json) -> Json:
    return {"_producer": _PRODUCER, "_schemaURL": f"{_PRODUCER}/facets/{name}.json", **values}


def _send(settings: Settings, event: bytes) -> None:
    if settings.lineage.url:
        call("POST", settings.lineage.url, event, _authorization(settings.lineage.token_file))
    else:
        path = settings.state_dir / "lineage" / f"{month_of(clock.now())}.ndjson"
        path.parent.mkdir(parents=True, exist_ok=True)
        # In one write: several tasks tell at once.
        with path.open("ab", buffering=0) as file:
            file.write(event + b"\n")


def _authorization(token: Path | None) -> Mapping[str, str]:
    text = token.read_text(encoding="utf-8").strip() if token else ""
    return {"Authorization": f"Bearer {text}"} if text else {}


@cache
def _complain(kind: str) -> None:
    """Log trouble once: a receiver that is away would fill the log."""
    logger("lineage").warning("lineage is not told", error=kind)
