"""An agent's folder with a registry to read."""

import sqlite3
from datetime import datetime, timedelta
from pathlib import Path

from connectors.config import AgentConfig, load_agent
from kernel.evidence import SigningKey

USCC = "91330523719500014U"
KEY = SigningKey.from_text("A" * 43 + "=", "test")
CONTRACTS = (
    "retrofit.project.v1",
    "retrofit.invoice_line.v1",
    "gov.enterprise.v1",
    "retrofit.acceptance.v1",
)
TABLES = """
create table retrofit_project (project_id text, enterprise_uscc text, programme text, title text,
    batch text, filed_on date, contract_signed_on date, finished_on date, granted_before_cny text,
    other_awards_cny text, updated_at text);
create table claim_line (claim_id text, line_no int, project_id text, invoice_no text,
    invoice_line_no int, issued_on date, seller_uscc text, buyer_uscc text, item_text text,
    category text, net_cny text, tax_cny text, updated_at text);
create table acceptance (project_id text, accepted_on date, outcome text, reviewer text,
    updated_at text);
create table scale_listing (enterprise_uscc text, list_year int, name text, region_code text,
    industry_code text, is_above_scale int, updated_at text);
"""


class Site:
    """An agent's folder with a registry to read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database = folder / "registry.sqlite"
        self.file = folder / "agents" / "registry.yaml"
        self.file.parent.mkdir()
        (folder / "agents" / "agent.key").write_text(KEY.text)
        with sqlite3.connect(self.database) as db:
            db.executescript(TABLES)
        db.close()
        self.file.write_text(
            f"""agent:
  id: county
  enterprise: {USCC}
  key_file: agent.key
  outbox: outbox.sqlite
sources:
- id: registry
  preset: nplusx_registry
  url: sqlite:///{self.database}
  zone: UTC
  page_rows: 10
poll_seconds: 1
""",
            "utf-8",
        )

    @property
    def config(self) -> AgentConfig:
        return load_agent(self.file)

    def fill(self, lines: int, start: int = 0) -> None:
        with sqlite3.connect(self.database) as db:
            for n in range(start, start + lines):
                at = datetime.fromisoformat("2024-06-01") + timedelta(hours=n)
                db.execute(
                    "insert into claim_line values ('CL', ?, 'P', '24332000000000000001', 1, "
                    "'2024-03-05', ?, ?, 'x', 'software', '100.00', '13.00', ?)",
                    (n, USCC, USCC, at.isoformat(" ")),
                )
        db.close()

    def rename_table(self, name: str, to: str) -> None:
        with sqlite3.connect(self.database) as db:
            db.execute(f"alter table {name} rename to {to}")
        db.close()
