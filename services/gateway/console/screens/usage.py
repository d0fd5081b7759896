"""/usage and /audit: what the project has used, and who changed what."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from contract.audit import AuditAction
from contract.usage import UsageBy, UsageLine
from services.gateway.console.charts import columns
from services.gateway.console.pages import page
from services.gateway.console.viewer import MAY_MANAGE, MAY_SEE, ViewerDep
from services.storage.access.audit import AuditFilter

router = APIRouter(include_in_schema=False)

PERIODS = {7: "Last 7 days", 30: "Last 30 days", 90: "Last 90 days", 365: "Last year"}
LINES = 50


@router.get("/usage", dependencies=MAY_SEE)
def usage(request: Request, viewer: ViewerDep, days: int = 30, by: str = "model") -> Response:
    """Replica-seconds of the last days: by day as a chart, and by model, job or pool."""
    days = days if days in PERIODS else 30
    kind = UsageBy(by) if by in {UsageBy.MODEL, UsageBy.JOB, UsageBy.POOL} else UsageBy.MODEL
    until = viewer.stores.database.now().date()
    since = until - timedelta(days=days - 1)
    ledger, project = viewer.backends.stores.ledger, viewer.caller.project
    by_day = {line.key: line for line in ledger.sums(project, since, until, UsageBy.DAY, days).items}
    names = [str(since + timedelta(days=number)) for number in range(days)]
    lines = [by_day.get(name) for name in names]
    used = [_used(line) for line in lines]
    most = [line.at_max_s or 0.0 if line is not None else 0.0 for line in lines]
    return page(
        request,
        viewer,
        "usage.html",
        screen="usage",
        days=days,
        by=str(kind),
        periods=PERIODS,
        lines=ledger.sums(project, since, until, kind, LINES).items,
        chart=columns(used, most, names),
        used=sum(used),
        at_max=sum(most),
        jobs=sum(line.jobs_s for line in lines if line is not None),
        online=sum(line.online_s for line in lines if line is not None),
        gpu=sum(line.gpu_s for line in lines if line is not None),
        since=since,
        until=until,
    )


@router.get("/audit", dependencies=MAY_MANAGE)
def audit(
    request: Request,
    viewer: ViewerDep,
    action: str = "",
    actor: Annotated[str, Query(max_length=8)] = "",
    subject: Annotated[str, Query(max_length=255)] = "",
    cursor: Annotated[str, Query(max_length=20)] = "",
) -> Response:
    """The audit trail, newest first, with filters in the address."""
    chosen = {"action": action if action in set(AuditAction) else "", "actor": actor, "subject": subject.strip()}
    where = AuditFilter(
        actor=chosen["actor"] or None,
        action=AuditAction(chosen["action"]) if chosen["action"] else None,
        subject=chosen["subject"] or None,
    )
    entries = viewer.stores.audit.list(where, LINES, cursor or None)
    return page(
        request,
        viewer,
        "audit.html",
        screen="audit",
        rows=entries.items,
        next=entries.next,
        chosen=chosen,
        actions=tuple(map(str, AuditAction)),
    )


def _used(line: UsageLine | None) -> float:
    if line is None:
        return 0.0
    return line.ready_s if line.ready_s is not None else line.jobs_s + line.online_s
