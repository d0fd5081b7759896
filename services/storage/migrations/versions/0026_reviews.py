"""The review queue, people's answers, and the feedback of applications"""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def _project() -> sa.Column[str]:
    return sa.Column("project", sa.String(length=63), server_default="default", nullable=False)


def _partial(name: str, where: str, columns: list[str], table: str = "review_items", unique: bool = False) -> None:
    condition = sa.text(where)
    op.create_index(name, table, columns, unique=unique, postgresql_where=condition, sqlite_where=condition)


def upgrade() -> None:
    op.create_table(
        "review_items",
        sa.Column("id", sa.String(length=36), nullable=False),
        _project(),
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("model", sa.String(length=63), nullable=True),
        sa.Column("alias", sa.String(length=63), nullable=True),
        sa.Column("model_version", sa.Integer(), nullable=True),
        sa.Column("prediction", sa.String(length=80), nullable=True),
        sa.Column("dataset", sa.String(length=127), nullable=True),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("original_sha256", sa.String(length=64), nullable=True),
        sa.Column("file", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("split", sa.String(length=8), nullable=True),
        sa.Column("label_now", sa.String(length=128), nullable=True),
        sa.Column("guess", sa.JSON(), nullable=False),
        sa.Column("margin", sa.Float(), nullable=True),
        sa.Column("entropy", sa.Float(), nullable=True),
        sa.Column("priority", sa.Float(), nullable=False),
        sa.Column("votes", sa.Integer(), nullable=False),
        sa.Column("leased_by", sa.String(length=16), nullable=True),
        sa.Column("lease", sa.String(length=36), nullable=True),
        sa.Column("leased_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("label", sa.String(length=128), nullable=True),
        sa.Column("not_any", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("applied_to", sa.String(length=127), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_review_items")),
        sa.UniqueConstraint(
            "project", "source", "dataset", "sha256", name=op.f("uq_review_items_project_source_dataset_sha256")
        ),
    )
    for columns in (["project", "state", "priority"], ["project", "sha256"], ["project", "prediction"]):
        op.create_index(op.f(f"ix_review_items_{'_'.join(columns)}"), "review_items", columns)
    sample = ["project", "source", "model", "model_version", "sha256"]
    _partial("uq_review_items_samples", "dataset IS NULL AND state <> 'expired'", sample, unique=True)
    _partial("ix_review_items_copies", "file IS NOT NULL", ["project", "model", "alias"])
    _partial("ix_review_items_copies_expires_at", "file IS NOT NULL", ["expires_at"])
    _partial("ix_review_items_expired_expires_at", "state = 'expired'", ["expires_at"])
    _partial("ix_review_items_not_applied", "state = 'done' AND applied_to IS NULL", ["project", "decided_at"])
    op.create_table(
        "review_answers",
        sa.Column("item_id", sa.String(length=36), nullable=False),
        sa.Column("reviewer", sa.String(length=16), nullable=False),
        _project(),
        sa.Column("reviewer_name", sa.String(length=63), nullable=False),
        sa.Column("label", sa.String(length=128), nullable=True),
        sa.Column("not_any", sa.Boolean(), nullable=False),
        sa.Column("skip", sa.Boolean(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("undone_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["item_id"], ["review_items.id"], name=op.f("fk_review_answers_item_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("item_id", "reviewer", name=op.f("pk_review_answers")),
    )
    op.create_index(op.f("ix_review_answers_project_reviewer_at"), "review_answers", ["project", "reviewer", "at"])
    _partial("ix_review_answers_standing", "undone_at IS NULL", ["project", "at"], table="review_answers")
    op.create_table(
        "feedback",
        _project(),
        sa.Column("prediction", sa.String(length=80), nullable=False),
        sa.Column("label", sa.String(length=128), nullable=False),
        sa.Column("reviewer", sa.String(length=16), nullable=False),
        sa.Column("reviewer_name", sa.String(length=63), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("item_id", sa.String(length=36), nullable=True),
        sa.PrimaryKeyConstraint("project", "prediction", name=op.f("pk_feedback")),
    )
    op.create_index(op.f("ix_feedback_project_at"), "feedback", ["project", "at"])


def downgrade() -> None:
    op.drop_table("feedback")
    op.drop_table("review_answers")
    op.drop_table("review_items")
