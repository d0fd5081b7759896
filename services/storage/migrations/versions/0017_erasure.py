"""Where a rewritten upload is, and the images that were erased while a job ran"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("uploads", sa.Column("file", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("jobs", sa.Column("erased", sa.JSON(none_as_null=True), nullable=True))


def downgrade() -> None:
    op.drop_column("jobs", "erased")
    op.drop_column("uploads", "file")
