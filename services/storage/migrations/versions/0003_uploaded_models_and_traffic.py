"""Uploaded models and traffic"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("model_versions", schema=None) as batch_op:
        batch_op.alter_column("dataset", existing_type=sa.String(length=127), nullable=True)
        batch_op.alter_column("manifest", existing_type=sa.JSON(), nullable=True)
        batch_op.add_column(sa.Column("rejected", sa.Text(), nullable=True))

    op.create_table(
        "alias_weights",
        sa.Column("model", sa.String(length=63), nullable=False),
        sa.Column("alias", sa.String(length=63), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("weight", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["model", "alias"],
            ["aliases.model", "aliases.alias"],
            name=op.f("fk_alias_weights_model_alias"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["model", "version"],
            ["model_versions.name", "model_versions.version"],
            name=op.f("fk_alias_weights_model_version"),
        ),
        sa.PrimaryKeyConstraint("model", "alias", "version", name=op.f("pk_alias_weights")),
    )
    op.execute(
        "INSERT INTO alias_weights (model, alias, version, weight) SELECT model, alias, version, 100 FROM aliases"
    )
    with op.batch_alter_table("aliases", schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f("fk_aliases_model_version"), type_="foreignkey")
        batch_op.drop_column("version")
        batch_op.add_column(sa.Column("shadow", sa.Integer(), nullable=True))
        batch_op.create_foreign_key(
            batch_op.f("fk_aliases_model_shadow"), "model_versions", ["model", "shadow"], ["name", "version"]
        )


def downgrade() -> None:
    with op.batch_alter_table("aliases", schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f("fk_aliases_model_shadow"), type_="foreignkey")
        batch_op.drop_column("shadow")
        batch_op.add_column(sa.Column("version", sa.Integer(), nullable=True))

    op.execute(
        "UPDATE aliases SET version = (SELECT version FROM alias_weights AS share WHERE share.model = aliases.model "
        "AND share.alias = aliases.alias ORDER BY weight DESC, version DESC LIMIT 1)"
    )
    with op.batch_alter_table("aliases", schema=None) as batch_op:
        batch_op.alter_column("version", existing_type=sa.Integer(), nullable=False)
        batch_op.create_foreign_key(
            batch_op.f("fk_aliases_model_version"), "model_versions", ["model", "version"], ["name", "version"]
        )

    op.drop_table("alias_weights")
    # what the older schema has no words for
    op.execute(
        "DELETE FROM aliases WHERE EXISTS (SELECT 1 FROM model_versions WHERE model_versions.name = aliases.model "
        "AND model_versions.version = aliases.version AND model_versions.dataset IS NULL)"
    )
    op.execute("DELETE FROM model_versions WHERE dataset IS NULL")
    with op.batch_alter_table("model_versions", schema=None) as batch_op:
        batch_op.drop_column("rejected")
        batch_op.alter_column("manifest", existing_type=sa.JSON(), nullable=False)
        batch_op.alter_column("dataset", existing_type=sa.String(length=127), nullable=False)
