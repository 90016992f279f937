"""A landing world of one contract: a bus, tables and a registry with one factory in it."""

from datetime import UTC, datetime
from pathlib import Path

from bus.memory import MemoryBus
from bus.ports import Record
from bus.topics import topic_of
from contracts.loader import find
from contracts.model import Contract
from pipeline.admission import Known
from pipeline.land import Landed, Lander
from pipeline.settings import LandSettings, Settings, StateSettings
from registry.keys import RegisteredKey
from registry.kinds import EnterpriseKind
from registry.people import Enterprise
from tests.rows import FACTORY, KEY, valid_row
from warehouse import attempts, quarantine
from warehouse.delta import DeltaStore
from warehouse.landing import RECORD_SCHEMA, RECORDS

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
CONTRACT = find("erp.payment.v1")


class County:
    """A bus, tables and a registry with one factory in it."""

    def __init__(self, folder: Path, land: LandSettings | None = None) -> None:
        self.bus = MemoryBus()
        self.settings = Settings(state=StateSettings(dir=folder), land=land or LandSettings())
        self.store = DeltaStore(self.settings.lake_uri)
        self.keys = {
            KEY.public.id: RegisteredKey(KEY.public, "agent-1", FACTORY, LONG_AGO, None, None)
        }
        self.enterprises = {
            FACTORY: Enterprise(FACTORY, "某厂", EnterpriseKind.FACTORY, "330523", "C2130", False)
        }

    def send(self, *records: Record) -> None:
        self.bus.ensure_topics([topic_of(CONTRACT.id)])
        sender = self.bus.sender()
        assert set(sender.send(records)) <= {""}

    def lander(self, contract: Contract = CONTRACT) -> Lander:
        def known() -> Known:
            return Known(self.keys, self.enterprises)

        return Lander(self.settings, contract, self.bus, self.store, known)

    def land(self, contract: Contract = CONTRACT) -> Landed:
        return self.lander(contract).drain()

    def landed(self) -> list[dict[str, object]]:
        rows = self.store.open(CONTRACT.table).dataset().to_table().to_pylist()
        return sorted(rows, key=lambda row: (row["_offset"], row["_row"]))

    def reasons(self) -> list[list[str]]:
        found = attempts.visible(self.store, quarantine.QUARANTINE, quarantine.SCHEMA)
        return found.sort_by("offset")["reasons"].to_pylist()

    def repeats(self) -> int:
        found = attempts.visible(self.store, RECORDS, RECORD_SCHEMA).to_pylist()
        return sum(row["rows"] for row in found if row["verdict"] == "repeat")

    def verdicts(self) -> list[str]:
        found = attempts.visible(self.store, RECORDS, RECORD_SCHEMA)
        return found.sort_by("offset")["verdict"].to_pylist()


def payments(*numbers: int) -> list[dict[str, object]]:
    return [valid_row(CONTRACT, payment_id=f"PAY{number}") for number in numbers]
