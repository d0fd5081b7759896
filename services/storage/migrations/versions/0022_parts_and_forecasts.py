"""Uploads in parts, the limits of pools over time, and the requests of each minute"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("uploads", sa.Column("multipart", sa.String(length=1024), nullable=True))
    limits = op.create_table(
        "pool_limits",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("pool", sa.String(length=16), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("most", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["pool"], ["pools.name"], name=op.f("fk_pool_limits_pool")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pool_limits")),
    )
    pools = sa.table(
        "pools",
        *(sa.column(name) for name in ("name", "mode", "desired")),
        sa.column("policy", sa.JSON),
        sa.column("created_at", sa.DateTime(timezone=True)),
    )
    for row in op.get_bind().execute(sa.select(pools)).mappings().all():
        most = row["policy"]["max"] if row["mode"] == "auto" else row["desired"]
        op.get_bind().execute(sa.insert(limits).values(pool=row["name"], at=row["created_at"], most=most))
    op.create_table(
        "traffic",
        sa.Column("pool", sa.String(length=16), nullable=False),
        sa.Column("minute", sa.DateTime(timezone=True), nullable=False),
        sa.Column("requests", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("pool", "minute", name=op.f("pk_traffic")),
    )


def downgrade() -> None:
    op.drop_table("traffic")
    op.drop_table("pool_limits")
    op.drop_column("uploads", "multipart")
