"""Early ends of trainings, and the copies of retried jobs"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("jobs") as batch_op:
        batch_op.add_column(sa.Column("keep_best", sa.Boolean(), nullable=False, server_default=sa.false()))
        batch_op.add_column(sa.Column("retried_as", sa.String(length=36), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("jobs") as batch_op:
        batch_op.drop_column("retried_as")
        batch_op.drop_column("keep_best")
