"""/system: the health of every component of the deployment, for the instance's admin."""

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from contract.health import HealthReport, Level
from services.gateway.console.pages import page
from services.gateway.console.viewer import MAY_ADMIN, Viewer, ViewerDep

router = APIRouter(include_in_schema=False)

SUMMARIES = {
    Level.OK: "Everything works.",
    Level.WARNING: "Everything works, but something should be changed.",
    Level.PROBLEM: "Something does not work.",
}


@router.get("/system", dependencies=MAY_ADMIN)
async def system(request: Request, viewer: ViewerDep) -> Response:
    """The same report as `GET /v1/health`, made when the page is asked for."""
    report = await viewer.backends.diagnosis.report()
    return await run_in_threadpool(_page, request, viewer, report)


def _page(request: Request, viewer: Viewer, report: HealthReport) -> Response:
    components: dict[str, list[object]] = {}
    for check in report.checks:
        components.setdefault(check.component, []).append(check)
    return page(
        request,
        viewer,
        "system.html",
        screen="system",
        report=report,
        summary=SUMMARIES[report.status],
        components=components,
        todo=[check for check in report.checks if check.level is not Level.OK],
    )
