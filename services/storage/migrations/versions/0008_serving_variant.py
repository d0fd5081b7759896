"""Serving variant"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("model_versions", sa.Column("serving", sa.String(length=8), nullable=True))


def downgrade() -> None:
    op.drop_column("model_versions", "serving")
