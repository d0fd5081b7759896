"""The tables of the database, by noun; `metadata` has all of them."""

from services.storage.tables.access import api_keys, audit, projects, sessions
from services.storage.tables.columns import UtcDateTime, metadata
from services.storage.tables.counting import install as install_counting
from services.storage.tables.data import dataset_versions, datasets, features, upload_uses, uploads
from services.storage.tables.objects import object_references, storage_usage
from services.storage.tables.pipelines import pipeline_runs, pipelines
from services.storage.tables.queue import (
    claim_turns,
    idempotency,
    in_state,
    job_age,
    job_counts,
    job_events,
    job_order,
    jobs,
    leads,
    outbox,
    seats,
)
from services.storage.tables.registry import (
    alias_weights,
    aliases,
    backbone_versions,
    backbones,
    drift_counts,
    model_versions,
    models,
)
from services.storage.tables.replicas import pool_changes, pool_limits, pools, traffic, usage
from services.storage.tables.reviews import feedback, review_answers, review_items
from services.storage.tables.sampling import review_sampling, sampling_counts

__all__ = [
    "UtcDateTime",
    "alias_weights",
    "aliases",
    "api_keys",
    "audit",
    "backbone_versions",
    "backbones",
    "claim_turns",
    "dataset_versions",
    "datasets",
    "drift_counts",
    "features",
    "feedback",
    "idempotency",
    "in_state",
    "install_counting",
    "job_age",
    "job_counts",
    "job_events",
    "job_order",
    "jobs",
    "leads",
    "metadata",
    "model_versions",
    "models",
    "object_references",
    "outbox",
    "pipeline_runs",
    "pipelines",
    "pool_changes",
    "pool_limits",
    "pools",
    "projects",
    "review_answers",
    "review_items",
    "review_sampling",
    "sampling_counts",
    "seats",
    "sessions",
    "storage_usage",
    "traffic",
    "upload_uses",
    "uploads",
    "usage",
]
