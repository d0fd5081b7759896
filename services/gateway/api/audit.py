"""/v1/audit: the log of changes and of views of original images."""

from typing import Annotated

from fastapi import APIRouter, Query

from contract.audit import AuditAction, AuditPage
from contract.base import Moment
from services.gateway.dependencies import MAY_MANAGE, Cursor, Limit, StoresDep
from services.gateway.edge.problems import documented
from services.storage.access.audit import AuditFilter

router = APIRouter(prefix="/v1/audit", tags=["keys"])


@router.get("", dependencies=MAY_MANAGE, responses=documented())
def list_entries(
    stores: StoresDep,
    actor: Annotated[str | None, Query(max_length=16, description="The id of a key, or `retention`.")] = None,
    action: AuditAction | None = None,
    subject: Annotated[
        str | None, Query(max_length=255, description="Such as `models/pet-cnn`, with all of its versions and aliases.")
    ] = None,
    since: Moment | None = None,
    until: Moment | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> AuditPage:
    """The audit trail of the project, newest first."""
    return stores.audit.list(AuditFilter(actor, action, subject, since, until), limit, cursor)
