"""The first tables; types stand here in full, because models move on and this must not."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

MONEY = sa.Numeric(18, 2).with_variant(sa.String(20), "sqlite")
INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "enterprise",
        sa.Column("uscc", sa.String(18), primary_key=True),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("region_code", sa.String(6), nullable=False),
        sa.Column("industry_code", sa.String(5), nullable=False),
        sa.Column("accepts_unsigned", sa.Boolean, nullable=False),
    )
    op.create_table(
        "agent",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column(
            "enterprise_uscc", sa.String(18), sa.ForeignKey("enterprise.uscc"), nullable=False
        ),
    )
    op.create_table(
        "agent_key",
        sa.Column("key_id", sa.String(16), primary_key=True),
        sa.Column("agent_id", sa.String(64), sa.ForeignKey("agent.id"), nullable=False),
        sa.Column("public_key", sa.String(44), nullable=False),
        sa.Column("valid_from", INSTANT, nullable=False),
        sa.Column("valid_to", INSTANT),
        sa.Column("revoked_at", INSTANT),
    )
    op.create_table(
        "user",
        sa.Column("username", sa.String(64), primary_key=True),
        sa.Column("password_hash", sa.String(200), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("enterprise_uscc", sa.String(18), sa.ForeignKey("enterprise.uscc")),
    )
    _claims()


def _claims() -> None:
    op.create_table(
        "scale_listing",
        sa.Column("enterprise_uscc", sa.String(18), primary_key=True),
        sa.Column("list_year", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("region_code", sa.String(6), nullable=False),
        sa.Column("industry_code", sa.String(5), nullable=False),
        sa.Column("is_above_scale", sa.Boolean, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
    )
    op.create_table(
        "retrofit_project",
        sa.Column("project_id", sa.String(64), primary_key=True),
        sa.Column(
            "enterprise_uscc", sa.String(18), sa.ForeignKey("enterprise.uscc"), nullable=False
        ),
        sa.Column("programme", sa.String(64), nullable=False),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("batch", sa.String(16), nullable=False),
        sa.Column("filed_on", sa.Date, nullable=False),
        sa.Column("contract_signed_on", sa.Date, nullable=False),
        sa.Column("finished_on", sa.Date),
        sa.Column("granted_before_cny", MONEY, nullable=False),
        sa.Column("other_awards_cny", MONEY, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
    )
    project = "retrofit_project.project_id"
    op.create_table(
        "claim_line",
        sa.Column("claim_id", sa.String(64), primary_key=True),
        sa.Column("line_no", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("project_id", sa.String(64), sa.ForeignKey(project), nullable=False),
        sa.Column("invoice_no", sa.String(20), nullable=False),
        sa.Column("invoice_line_no", sa.Integer, nullable=False),
        sa.Column("issued_on", sa.Date, nullable=False),
        sa.Column("seller_uscc", sa.String(18), nullable=False),
        sa.Column("buyer_uscc", sa.String(18), nullable=False),
        sa.Column("item_text", sa.String(200), nullable=False),
        sa.Column("category", sa.String(32), nullable=False),
        sa.Column("net_cny", MONEY, nullable=False),
        sa.Column("tax_cny", MONEY, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
    )
    op.create_table(
        "acceptance",
        sa.Column("project_id", sa.String(64), sa.ForeignKey(project), primary_key=True),
        sa.Column("accepted_on", sa.Date, nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("reviewer", sa.String(200), nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
    )
