"""Pools, their history, and the usage of replicas."""

from sqlalchemy import JSON, BigInteger, Boolean, Column, Date, Float, ForeignKey, Index, Integer, String, Table, Text

from services.storage.tables.columns import UtcDateTime, metadata, project_column

pools = Table(
    "pools",
    metadata,
    Column("name", String(16), primary_key=True),
    Column("mode", String(8), nullable=False),
    Column("policy", JSON, nullable=False),
    Column("desired", Integer, nullable=False),
    Column("created", Integer),  # replicas that can be started; None until an autoscaler reports it
    Column("revision", Integer, nullable=False),  # incremented by every change
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
)

pool_changes = Table(
    "pool_changes",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("pool", String(16), ForeignKey("pools.name"), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("desired", Integer, nullable=False),
    Column("ready", Integer),  # this and the next two: None if not measured
    Column("waiting", Integer),
    Column("running", Integer),
    Column("reason", Text, nullable=False),
    Index(None, "pool", "id"),
)

pool_limits = Table(
    "pool_limits",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("pool", String(16), ForeignKey("pools.name"), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("most", Integer, nullable=False),  # replicas that the setting permits from then on
)

traffic = Table(
    "traffic",
    metadata,
    Column("pool", String(16), primary_key=True),
    Column("minute", UtcDateTime, primary_key=True),
    Column("requests", BigInteger, nullable=False),  # online ones that all gateways have answered
)

usage = Table(
    "usage",
    metadata,
    Column("day", Date, primary_key=True),  # in UTC
    Column("pool", String(16), primary_key=True),
    Column("purpose", String(8), primary_key=True),
    project_column(key=True),
    Column("model", String(63), primary_key=True),  # empty if there is none, like `job`
    Column("job", String(36), primary_key=True),
    Column("gpu", Boolean, primary_key=True),
    Column("seconds", Float, nullable=False),
)
