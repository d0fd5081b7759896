"""The review queue, people's answers, and the feedback of applications."""

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    UniqueConstraint,
    false,
    text,
)

from services.storage.tables.columns import UtcDateTime, metadata, project_column

COPIED = "file IS NOT NULL"
EXPIRED = "state = 'expired'"
NOT_APPLIED = "state = 'done' AND applied_to IS NULL"
SAMPLE = "dataset IS NULL AND state <> 'expired'"
STANDING = "undone_at IS NULL"


def _partial(name: str, where: str, *columns: str, unique: bool = False) -> Index:
    return Index(name, *columns, unique=unique, postgresql_where=text(where), sqlite_where=text(where))


review_items = Table(
    "review_items",
    metadata,
    Column("id", String(36), primary_key=True),
    project_column(),
    Column("source", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("model", String(63)),
    Column("alias", String(63)),
    Column("model_version", Integer),
    Column("prediction", String(80)),  # the id in the response
    Column("dataset", String(127)),  # a pinned reference such as pets@3, null for samples
    Column("sha256", String(64), nullable=False),  # of the original, or of a sample's copy
    Column("original_sha256", String(64)),  # of a sample: of what the client sent
    Column("file", JSON(none_as_null=True)),  # a sample's copy, until it is removed
    Column("split", String(8)),
    Column("label_now", String(128)),
    Column("guess", JSON, nullable=False),
    Column("margin", Float),
    Column("entropy", Float),
    Column("priority", Float, nullable=False),
    Column("votes", Integer, nullable=False),
    Column("leased_by", String(16)),  # the id of an API key
    Column("lease", String(36)),
    Column("leased_until", UtcDateTime),
    Column("label", String(128)),
    Column("not_any", Boolean, nullable=False, server_default=false()),
    Column("decided_at", UtcDateTime),
    Column("applied_to", String(127)),  # the dataset version that has the answer
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime),
    UniqueConstraint("project", "source", "dataset", "sha256"),  # samples have no dataset
    Index(None, "project", "state", "priority"),
    Index(None, "project", "sha256"),
    Index(None, "project", "prediction"),
    _partial("uq_review_items_samples", SAMPLE, "project", "source", "model", "model_version", "sha256", unique=True),
    _partial("ix_review_items_copies", COPIED, "project", "model", "alias"),
    _partial("ix_review_items_copies_expires_at", COPIED, "expires_at"),
    _partial("ix_review_items_expired_expires_at", EXPIRED, "expires_at"),
    _partial("ix_review_items_not_applied", NOT_APPLIED, "project", "decided_at"),
)

review_answers = Table(
    "review_answers",
    metadata,
    Column("item_id", String(36), ForeignKey("review_items.id", ondelete="CASCADE"), primary_key=True),
    Column("reviewer", String(16), primary_key=True),  # the id of an API key, which may be gone
    project_column(),
    Column("reviewer_name", String(63), nullable=False),
    Column("label", String(128)),
    Column("not_any", Boolean, nullable=False),
    Column("skip", Boolean, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("undone_at", UtcDateTime),
    Index(None, "project", "reviewer", "at"),
    _partial("ix_review_answers_standing", STANDING, "project", "at"),
)

feedback = Table(
    "feedback",
    metadata,
    project_column(key=True),
    Column("prediction", String(80), primary_key=True),  # the id in the response
    Column("label", String(128), nullable=False),
    Column("reviewer", String(16), nullable=False),  # the id of the application's API key
    Column("reviewer_name", String(63), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("item_id", String(36)),  # of the sample; null if the image was not sampled
    Index(None, "project", "at"),
)
