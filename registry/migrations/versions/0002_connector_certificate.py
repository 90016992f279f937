"""Certificates of connectors, which the lineage of every row points to."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "connector_certificate",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("agent_id", sa.String(64), sa.ForeignKey("agent.id"), nullable=False),
        sa.Column("source", sa.String(64), nullable=False),
        sa.Column("preset", sa.String(200), nullable=False),
        sa.Column("contracts", sa.Text, nullable=False),
        sa.Column("skipped", sa.Text, nullable=False),
        sa.Column("certified_at", INSTANT, nullable=False),
        sa.Column("registered_at", INSTANT, nullable=False),
        sa.Column("statement", sa.LargeBinary, nullable=False),
    )
