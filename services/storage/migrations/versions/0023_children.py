"""Child jobs"""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("child_of", sa.String(length=36), nullable=True))
    op.add_column("jobs", sa.Column("number", sa.Integer(), nullable=True))
    op.add_column("jobs", sa.Column("children", sa.Integer(), nullable=True))
    op.create_index(op.f("ix_jobs_child_of_number"), "jobs", ["child_of", "number"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_jobs_child_of_number"), table_name="jobs")
    for name in ("children", "number", "child_of"):
        op.drop_column("jobs", name)
