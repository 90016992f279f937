"""A small county for stage tests: a factory's books, the county's registry, a claim."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from bus.envelope import ARROW_STREAM, Batch, seal
from bus.memory import MemoryBus
from bus.topics import topic_of
from contracts.loader import find
from kernel.evidence import SigningKey
from kernel.ids import AgentId, EnterpriseId, SourceId, Stream, uscc_check_character
from pipeline import land as landing
from pipeline import wiring
from pipeline.settings import Settings, read_settings
from registry.keys import save_agent, save_key
from registry.kinds import EnterpriseKind
from registry.people import Enterprise, save_enterprise
from tests.rows import FACTORY, arrow_rows, ipc, valid_row

AUTHORITY = EnterpriseId("11330523000000001" + uscc_check_character("11330523000000001"))
SELLER = "91330521MA2B3K7P07"
KEYS = {FACTORY: SigningKey(b"\x01" * 32), AUTHORITY: SigningKey(b"\x02" * 32)}
AGENTS = {FACTORY: AgentId("agent-1"), AUTHORITY: AgentId("county-1")}
CLAIM = "CL-2024-001"
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
INVOICES = [f"2433200000000000000{n}" for n in range(4)]


class World:
    """A bus in memory, real tables, a real registry."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("NPLUSX_STATE_DIR", str(folder))
        # The bus in memory keeps a time of its own, which is long ago.
        monkeypatch.setenv("NPLUSX_DOCTOR_STALE_HOURS", "1e6")
        self.bus = MemoryBus()
        monkeypatch.setattr(wiring, "bus", lambda _settings: self.bus)
        self.settings: Settings = read_settings()
        self.store = wiring.store(self.settings)
        self.sent: dict[str, int] = {}
        self.epoch = "e1"
        # None: that owner's agent does not sign.
        self.keys: dict[EnterpriseId, SigningKey | None] = {**KEYS}
        registry = wiring.registry(self.settings)
        for uscc, kind in (
            (FACTORY, EnterpriseKind.FACTORY),
            (AUTHORITY, EnterpriseKind.AUTHORITY),
        ):
            save_enterprise(registry, Enterprise(uscc, f"单位{kind}", kind, "330523", "C2130"))
            save_agent(registry, AGENTS[uscc], uscc)
            save_key(registry, AGENTS[uscc], KEYS[uscc].public, LONG_AGO)

    def send(self, contract_id: str, *rows: dict[str, object]) -> None:
        """Send rows as their owner's agent does."""
        contract = find(contract_id)
        owner = FACTORY if contract.publisher.value == "factory" else AUTHORITY
        # Who has a key signs; what is not signed comes from an installation without one.
        agent = AGENTS[owner] if self.keys[owner] else AgentId("keyless")
        stream = Stream(owner, agent, SourceId("books"), contract.id)
        self.sent[stream.id] = self.sent.get(stream.id, 0) + 1
        table = arrow_rows(contract, rows)
        batch = Batch(
            stream, contract.version, self.epoch, self.sent[stream.id], ARROW_STREAM, ipc(table),
            table.num_rows, LONG_AGO,
        )  # fmt: skip
        self.bus.ensure_topics([topic_of(contract.id)])
        assert set(self.bus.sender().send([seal(batch, self.keys[owner])])) <= {""}

    def land(self) -> None:
        """Land everything that waits."""
        for contract in landing.behind(self.settings):
            landing.land(contract)


def row(contract_id: str, **changes: object) -> dict[str, object]:
    """Give a valid row of a contract with changes."""
    return valid_row(find(contract_id), **changes)


def send_books(world: World) -> None:
    """Two invoices booked and paid, one unpaid, one claimed that the factory never entered."""
    for place, number in enumerate(INVOICES[:3]):
        world.send(
            "erp.purchase_invoice.v1",
            row(
                "erp.purchase_invoice.v1", invoice_id=f"PI{place}", invoice_no=number,
                buyer_uscc=FACTORY, seller_uscc=SELLER, net_amount="100000.00",
            ),
        )  # fmt: skip
        world.send(
            "erp.ledger_entry.v1",
            row("erp.ledger_entry.v1", entry_id=f"GL{place}", invoice_no=number),
        )
    for place, number in enumerate(INVOICES[:2]):
        world.send(
            "erp.payment.v1",
            row("erp.payment.v1", payment_id=f"PAY{place}", invoice_no=number, payee_uscc=SELLER),
        )
    world.send("erp.sales_order.v1", row("erp.sales_order.v1"))
    world.send(
        "erp.sales_order_line.v1",
        row("erp.sales_order_line.v1"),
        row("erp.sales_order_line.v1", order_line_id="SOL2", promised_on="2019-12-01"),
    )
    world.send(
        "erp.delivery.v1",
        row(
            "erp.delivery.v1",
            delivery_line_id="DL2",
            order_line_id="SOL2",
            delivered_on="2019-12-02",
        ),
    )


def send_dossier(world: World) -> None:
    """The claim as the county filed it."""
    world.send("gov.enterprise.v1", row("gov.enterprise.v1", enterprise_uscc=FACTORY))
    world.send("retrofit.project.v1", row("retrofit.project.v1", enterprise_uscc=FACTORY))
    world.send("retrofit.acceptance.v1", row("retrofit.acceptance.v1"))
    lines = [
        row(
            "retrofit.invoice_line.v1", line_no=place + 1, invoice_no=number, invoice_line_no=1,
            buyer_uscc=FACTORY, seller_uscc=SELLER,
        )
        for place, number in enumerate(INVOICES)
    ]  # fmt: skip
    world.send("retrofit.invoice_line.v1", *lines)


def play(world: World) -> None:
    """Send, land, refine, measure, assess, seal."""
    from pipeline.assess import assess
    from pipeline.measure import measure
    from pipeline.refine import refine
    from pipeline.seal import seal

    send_books(world)
    send_dossier(world)
    world.land()
    for stage in (refine, measure, assess, seal):
        stage()
