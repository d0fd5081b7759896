"""Sampling of predictions for the review queue"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def _key(*others: sa.Column[Any]) -> list[sa.Column[Any]]:
    return [
        sa.Column("project", sa.String(length=63), server_default="default", nullable=False),
        sa.Column("model", sa.String(length=63), nullable=False),
        sa.Column("alias", sa.String(length=63), nullable=False),
        *others,
    ]


def _of_alias(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["project", "model", "alias"],
        ["aliases.project", "aliases.model", "aliases.alias"],
        name=op.f(f"fk_{table}_project_model_alias"),
        ondelete="CASCADE",
    )


def upgrade() -> None:
    op.create_table(
        "review_sampling",
        *_key(),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        _of_alias("review_sampling"),
        sa.PrimaryKeyConstraint("project", "model", "alias", name=op.f("pk_review_sampling")),
    )
    op.create_table(
        "sampling_counts",
        *_key(
            sa.Column("day", sa.Date(), nullable=False),
            sa.Column("counter", sa.String(length=16), nullable=False),
            sa.Column("label", sa.String(length=128), nullable=False),
        ),
        sa.Column("value", sa.BigInteger(), nullable=False),
        _of_alias("sampling_counts"),
        sa.PrimaryKeyConstraint(
            "project", "model", "alias", "day", "counter", "label", name=op.f("pk_sampling_counts")
        ),
    )


def downgrade() -> None:
    op.drop_table("sampling_counts")
    op.drop_table("review_sampling")
