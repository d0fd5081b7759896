"""/compare: up to six model versions, what differs between them, and how they do on the same images."""

from typing import Annotated, NamedTuple

from fastapi import APIRouter, Query, Request, Response

from contract.errors import Invalid
from contract.evaluation import EvaluationReport
from contract.jobs import JobState
from contract.references import Reference
from services.gateway.console.differences import differences, figures
from services.gateway.console.pages import page
from services.gateway.console.viewer import MAY_SEE, Viewer, ViewerDep
from services.storage.screens.compare import Compared, CompareScreen
from services.storage.screens.evaluations import Evaluation, Evaluations
from services.storage.screens.models import ModelScreens

router = APIRouter(include_in_schema=False)

MOST = 6  # versions beside each other
CHOICES = 200  # models in the form


class Judged(NamedTuple):
    """An evaluation of one of the versions; `report` if it has succeeded."""

    evaluation: Evaluation
    report: EvaluationReport | None


@router.get("/compare", dependencies=MAY_SEE)
def compare(
    request: Request,
    viewer: ViewerDep,
    model: Annotated[list[str], Query(max_length=20)] = [],  # noqa: B006  FastAPI copies it
) -> Response:
    """Versions side by side: the first is the one that the others are compared with."""
    references = list(dict.fromkeys(_pinned(viewer, text) for text in model if text.strip()))
    if len(references) > MOST:
        raise Invalid(f"compare at most {MOST} versions; you chose {len(references)}")
    versions = CompareScreen(viewer.stores.database, viewer.caller.project).versions(references) if references else ()
    numbers, equal = figures(versions)
    different, same = differences(versions)
    judged = _judged(viewer, versions)
    return page(
        request,
        viewer,
        "compare.html",
        screen="models",
        versions=versions,
        figures=numbers,
        different=different,
        same=(*equal, *same),
        judged=judged,
        pairs=[one for one in judged if one.report is not None and one.report.comparison is not None],
        running=[one.evaluation for one in judged if one.evaluation.live],
        names=ModelScreens(viewer.stores.database, viewer.caller.project).names()[:CHOICES],
        most=MOST,
    )


def _pinned(viewer: Viewer, text: str) -> Reference:
    """Return the version that a reference means; raises Invalid, NotFound, BadModel."""
    reference = Reference.parse(text.strip())
    return reference if reference.version is not None else viewer.stores.models.manifest(reference)[0]


def _judged(viewer: Viewer, versions: tuple[Compared, ...]) -> list[Judged]:
    """Return the evaluations of these versions, alone or against another of them; of repeated ones the newest."""
    texts = [one.reference for one in versions]
    if not texts:
        return []
    evaluations = Evaluations(viewer.stores.database, viewer.caller.project)
    newest = dict[tuple[str | None, ...], Evaluation]()
    for one in evaluations.of(texts):
        spec, ended = one.spec, one.state is JobState.SUCCEEDED or one.live
        if ended and (spec.compare_with is None or spec.compare_with in texts):
            newest.setdefault((spec.model, spec.dataset, spec.split, spec.compare_with), one)
    reports = evaluations.results([one.id for one in newest.values()])
    return [Judged(one, reports.get(one.id)) for one in newest.values()]
