"""Pools, usage and API keys."""

from contract.access import ApiKey, NewApiKey, NewKeyRequest, Scope
from contract.audit import AuditAction, AuditEntry, AuditPage
from contract.base import Frozen
from contract.health import Check, HealthReport, Level
from contract.pools import (
    AutoPool,
    Decision,
    ManualPool,
    Measured,
    Pool,
    PoolChange,
    PoolMode,
    Queue,
    ReplicaCounts,
    ScalingPolicy,
)
from contract.projects import (
    NewProjectRequest,
    Project,
    ProjectChange,
    ProjectPage,
    Quotas,
    Retention,
    VersionRetention,
)
from contract.supervision import ComponentReport, State
from contract.usage import ProjectStorage, StorageCategory, StorageUsage, Stored, Usage, UsageBy, UsageLine
from tests.examples.base import COUNTED, WHEN

POLICY = ScalingPolicy(min=0, max=8, idle_s=60, backlog_per_replica=4)
USAGE_LINE = UsageLine(key="2026-01-02", ready_s=120.0, jobs_s=30.5, online_s=12.25, gpu_s=0.0, at_max_s=691200.0)
API_KEY = ApiKey(
    id="0123abcd",
    name="laptop",
    scopes=(Scope.PREDICT, Scope.READ),
    created_at=WHEN,
    expires_at=WHEN,
    origins=("https://app.example",),
)
AUDIT_ENTRY = AuditEntry(
    id=1,
    at=WHEN,
    actor="0123abcd",
    actor_name="laptop",
    action=AuditAction.PROMOTE,
    subject="models/pet-cnn@production",
    detail="version 1",
    request_id="0123456789abcdef",
)
STORED = Stored(objects=2, bytes=1_048_576)
PROJECT_STORAGE = ProjectStorage(project="lab", categories={StorageCategory.UPLOADS: STORED}, **dict(STORED))
RETENTION = Retention(jobs_days=90, versions=VersionRetention(days=30, keep_last=3))
QUOTAS = Quotas(stored_bytes=10**12, live_jobs=20, requests_per_minute=600)
CHECK = Check(
    component="redis",
    name="memory",
    level=Level.WARNING,
    message="400 of 512 MiB used",
    advice="Raise maxmemory.",
    latency_ms=1.5,
)
PROJECT = Project(
    name="lab", description="What the lab has", weight=2, quotas=QUOTAS, retention=RETENTION, created_at=WHEN
)

EXAMPLES: tuple[Frozen, ...] = (
    # one scope, because a set of several has no order
    NewKeyRequest(name="laptop", scopes=frozenset({Scope.READ})),
    API_KEY,
    NewApiKey(**API_KEY.model_dump(), secret="tp_0123abcd_" + "A" * 43),
    PROJECT,
    ProjectPage(items=(PROJECT,), next=None),
    NewProjectRequest(name="lab", description="What the lab has"),
    VersionRetention(days=30, keep_last=3),
    RETENTION,
    QUOTAS,
    ProjectChange(description="What the lab has", weight=2, quotas=QUOTAS, retention=RETENTION),
    AUDIT_ENTRY,
    AuditPage(items=(AUDIT_ENTRY,), next="1"),
    POLICY,
    Measured(at=12.5, ready=2, draining=1, oldest_s=1.5, busy=0.5, requests_per_minute=90.0, **COUNTED),
    Decision(replicas=3, reason="6 wait and 2 run, which is more than 4 for each of 2"),
    ManualPool(mode=PoolMode.MANUAL, replicas=3),
    AutoPool(mode=PoolMode.AUTO, min=0, max=8),
    ReplicaCounts(desired=3, created=4, ready=2, draining=None, min=0, max=8),
    Queue(oldest_s=1.5, **COUNTED),
    Pool(
        name="inference",
        mode=PoolMode.AUTO,
        replicas=ReplicaCounts(desired=3, ready=2, draining=0, min=0, max=8),
        queue=Queue(oldest_s=1.5, **COUNTED),
        policy=POLICY,
    ),
    PoolChange(at=WHEN, desired=3, ready=2, reason="6 wait", **COUNTED),
    ComponentReport(name="inference-2", role="inference", index=2, state=State.DRAINING, restarts=0, pid=4711),
    CHECK,
    HealthReport(status=Level.WARNING, version="0.1.0", at=WHEN, checks=(CHECK,)),
    STORED,
    PROJECT_STORAGE,
    StorageUsage(measured_at=WHEN, categories=PROJECT_STORAGE.categories, projects=(PROJECT_STORAGE,), **dict(STORED)),
    USAGE_LINE,
    Usage(since=WHEN.date(), until=WHEN.date(), by=UsageBy.DAY, items=(USAGE_LINE,)),
)
