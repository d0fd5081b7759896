"""/review/versions: make the next version of a dataset from the answers of people."""

from typing import Annotated

from fastapi import APIRouter, Form, Response

from contract.base import NAME_PATTERN
from contract.kinds.revise import ReviseRequest, ReviseSpec
from contract.references import Reference
from services.gateway.console.pages import redirect
from services.gateway.console.viewer import MAY_CHANGE, ViewerDep
from services.gateway.edge.request_id import current_request_id
from services.storage.pinning import pinned

router = APIRouter(prefix="/review", include_in_schema=False)


@router.post("/versions", dependencies=MAY_CHANGE)
def make_version(
    viewer: ViewerDep,
    dataset: Annotated[str, Form(pattern=NAME_PATTERN)],
    parent: Annotated[int, Form(ge=1, le=2**31 - 1)],
) -> Response:
    """Submit the job, and show it."""
    spec = ReviseSpec(dataset=dataset, parent=str(Reference(name=dataset, version=parent)), reviews="all")
    request = pinned(ReviseRequest(kind="revise", spec=spec), viewer.stores)
    job = viewer.stores.jobs.create(request, current_request_id())
    return redirect(f"/jobs/{job.id}", f"The next version of {dataset} is being made.")
