"""Two factories, a county and their portal: what every page test looks at."""

import asyncio
import re
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from bus.envelope import ARROW_STREAM, Batch, seal
from bus.topics import topic_of
from contracts.loader import find
from kernel.evidence import SigningKey
from kernel.ids import AgentId, EnterpriseId, SourceId, Stream, uscc_check_character
from pipeline import wiring
from pipeline.assess import assess
from pipeline.measure import measure
from pipeline.refine import refine
from pipeline.seal import seal as seal_all
from registry.keys import save_agent, save_key
from registry.kinds import EnterpriseKind, Role
from registry.people import Enterprise, User, hash_password, save_enterprise, save_user
from tests.pipeline.world import LONG_AGO, SELLER, World, row, send_books, send_dossier
from tests.rows import FACTORY, arrow_rows, ipc

OTHER = EnterpriseId("91330523MA2B4K9Q3" + uscc_check_character("91330523MA2B4K9Q3"))
OTHER_KEY = SigningKey(b"\x03" * 32)
OTHER_NAME = "邻厂<img src=x onerror=alert(1)>有限公司"
OTHER_CLAIM = "CL-2024-002"
NAME = "安吉示例家具有限公司（虚构）"
SCRIPT = "<script>alert(1)</script>{{ 7*7 }}"
PASSWORD = "correct horse"  # noqa: S105 - of a test's own users
USERS = {
    "engineer": (Role.PLATFORM, None),
    "factory": (Role.FACTORY, FACTORY),
    "neighbour": (Role.FACTORY, OTHER),
    "nobody": (Role.FACTORY, None),
    "auditor": (Role.AUDITOR, None),
    "leader": (Role.LEADER, None),
}


class Site(World):
    """A played county with a second factory, rows in quarantine and users of every role."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(folder, monkeypatch)
        registry = wiring.registry(self.settings)
        for uscc, name in ((FACTORY, NAME), (OTHER, OTHER_NAME)):
            kind = EnterpriseKind.FACTORY
            save_enterprise(registry, Enterprise(uscc, name, kind, "330523", "C2130"))
        save_agent(registry, AgentId("agent-2"), OTHER)
        save_key(registry, AgentId("agent-2"), OTHER_KEY.public, LONG_AGO)
        hashed = hash_password(PASSWORD)
        for name, (role, uscc) in USERS.items():
            save_user(registry, User(name, hashed, role, uscc))

    def send_other(self, contract_id: str, *rows: dict[str, object]) -> None:
        """Send rows as the neighbour's agent does."""
        contract = find(contract_id)
        stream = Stream(OTHER, AgentId("agent-2"), SourceId("ledger"), contract.id)
        self.sent[stream.id] = self.sent.get(stream.id, 0) + 1
        table = arrow_rows(contract, rows)
        batch = Batch(
            stream, contract.version, "e1", self.sent[stream.id], ARROW_STREAM, ipc(table),
            table.num_rows, LONG_AGO,
        )  # fmt: skip
        self.bus.ensure_topics([topic_of(contract.id)])
        self.bus.sender().send([seal(batch, OTHER_KEY)])


def play_county(site: Site) -> None:
    """Send what the pages show, then let the story run."""
    send_books(site)
    send_dossier(site)
    _orders(site)
    _refused(site)
    _other_claim(site)
    site.land()
    for stage in (refine, measure, assess, seal_all):
        stage()


def _orders(site: Site) -> None:
    """Five months of promises: each month one line more is late, one month has none."""
    late = row("erp.sales_order_line.v1", order_line_id="SOL2", promised_on="2023-07-01")
    site.send("erp.sales_order_line.v1", late)
    for place, month in enumerate((7, 8, 9, 10, 12)):
        for number in range(6):
            line = f"M{month}-{number}"
            promised, late = f"2023-{month:02}-10", number < place
            site.send(
                "erp.sales_order_line.v1",
                row("erp.sales_order_line.v1", order_line_id=line, promised_on=promised),
            )
            site.send(
                "erp.delivery.v1",
                row(
                    "erp.delivery.v1",
                    delivery_line_id=f"D{line}",
                    order_line_id=line,
                    delivered_on=f"2023-{month:02}-{'20' if late else '09'}",
                ),
            )
    site.send_other("erp.sales_order.v1", row("erp.sales_order.v1"))
    for month in (7, 8, 9, 10, 11, 12):
        site.send_other(
            "erp.sales_order_line.v1",
            row(
                "erp.sales_order_line.v1",
                order_line_id=f"N{month}",
                promised_on=f"2023-{month:02}-10",
            ),
        )
        site.send_other(
            "erp.delivery.v1",
            row(
                "erp.delivery.v1",
                delivery_line_id=f"DN{month}",
                order_line_id=f"N{month}",
                delivered_on=f"2023-{month:02}-{'09' if month % 2 else '11'}",
            ),
        )


def _refused(site: Site) -> None:
    """Rows that break promises: two of the factory's, three of the neighbour's."""
    invoice = "erp.purchase_invoice.v1"
    good = row(invoice, invoice_id="PI-GOOD", invoice_no="24332000000000000099")
    site.send(invoice, good, row(invoice, invoice_id="PI-BAD", seller_uscc="91330521MA2B3K7P0X"))
    site.send(invoice, row(invoice, invoice_id="PI-HOSTILE", invoice_no=SCRIPT))
    for number in range(3):
        site.send_other(
            "erp.payment.v1", row("erp.payment.v1", payment_id=f"SECRET-{number}", payee_uscc="X")
        )


def _other_claim(site: Site) -> None:
    """The neighbour claims too, and has no books to show for it."""
    site.send("gov.enterprise.v1", row("gov.enterprise.v1", enterprise_uscc=OTHER))
    project = row(
        "retrofit.project.v1", enterprise_uscc=OTHER, project_id="RP-OTHER", title="邻厂项目"
    )
    site.send("retrofit.project.v1", project)
    site.send("retrofit.acceptance.v1", row("retrofit.acceptance.v1", project_id="RP-OTHER"))
    line = row(
        "retrofit.invoice_line.v1", claim_id=OTHER_CLAIM, project_id="RP-OTHER", line_no=1,
        invoice_no="24332000000000000555", buyer_uscc=OTHER, seller_uscc=SELLER,
    )  # fmt: skip
    site.send("retrofit.invoice_line.v1", line)


class Visitor:
    """A browser without a screen: keeps cookies, follows nothing by itself."""

    def __init__(self, app: FastAPI) -> None:
        self.app = app
        self.cookies = httpx.Cookies()

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self._ask("GET", path, {}, headers)

    def post(self, path: str, form: dict[str, str], **headers: str) -> httpx.Response:
        return self._ask("POST", path, form, headers)

    def token(self, path: str = "/login") -> str:
        """Read the form token that a page holds."""
        found = re.search(r'name="csrf" value="([^"]+)"', self.get(path).text)
        assert found, f"{path} holds no form token"
        return found.group(1)

    def log_in(self, name: str, password: str = PASSWORD) -> httpx.Response:
        form = {"csrf": self.token(), "username": name, "password": password}
        return self.post("/login", form)

    def _ask(
        self, method: str, path: str, form: dict[str, str], headers: dict[str, str]
    ) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(
                transport=transport, base_url="http://portal.test", cookies=self.cookies
            ) as client:
                answer = await client.request(method, path, data=form or None, headers=headers)
                self.cookies = client.cookies
                return answer

        return asyncio.run(ask())
