"""/models/{name}/{version}: how good a version is, where it is weak, where it comes from, and how to call it."""

import json
import re
from contextlib import suppress
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from markdown_it import MarkdownIt

from contract.errors import NotFound
from contract.evaluation import JudgedImage, Metrics
from contract.jobs import JobState
from contract.references import Reference
from contract.training import ModelManifest
from contract.variants import Variant
from services.gateway.console.judged import judged_images
from services.gateway.console.lineage import lineage_of
from services.gateway.console.matrix import matrix_of, weakest
from services.gateway.console.pages import page
from services.gateway.console.viewer import MAY_SEE, Viewer, ViewerDep
from services.gateway.dependencies import NamePath, VersionPath
from services.gateway.model_files.card import card_of
from services.storage.screens.evaluations import Evaluation, Evaluations
from services.storage.screens.model_version import VersionDetails, VersionScreen

router = APIRouter(include_in_schema=False)

MOST_IMAGES = 200  # of a cell
SPLITS = {"test": "Test", "val": "Validation"}


@router.get("/models/{name}/{version}", dependencies=MAY_SEE)
def show_version(request: Request, viewer: ViewerDep, name: NamePath, version: VersionPath) -> Response:
    """One version."""
    details, evaluations = _details(viewer, name, version), _evaluations(viewer, name, version)
    manifest = details.manifest
    split, metrics = _measured(manifest)
    judged = next((one for one in evaluations if _of_training(one, manifest, split)), None)
    report = None
    if judged is not None:
        report = Evaluations(viewer.stores.database, viewer.caller.project).results([judged.id]).get(judged.id)
    return page(
        request,
        viewer,
        "version.html",
        screen="models",
        details=details,
        manifest=manifest,
        name=name,
        version=version,
        split=split,
        metrics=metrics,
        matrix=matrix_of(manifest.labels, metrics) if manifest is not None and metrics is not None else None,
        weakest=weakest(metrics) if metrics is not None else (),
        evaluations=evaluations,
        running=next((one for one in evaluations if one.live), None),
        report=report,
        judged=judged,
        graph=lineage_of(details),
        points=_points(manifest),
        serving=_serving(manifest),
        base=str(request.base_url).rstrip("/"),
        alias=_main_alias(details),
    )


@router.get("/models/{name}/{version}/images", dependencies=MAY_SEE)
def show_images(
    request: Request,
    viewer: ViewerDep,
    name: NamePath,
    version: VersionPath,
    label: Annotated[str, Query(max_length=128)] = "",
    predicted: Annotated[str, Query(max_length=128)] = "",
) -> Response:
    """The images of a cell of the confusion matrix, or all that the version gets wrong, or those of a class."""
    details, evaluations = _details(viewer, name, version), _evaluations(viewer, name, version)
    manifest = details.manifest
    if manifest is None:
        raise NotFound(f"{details.reference} was rejected, so it has not judged any images")
    split, _ = _measured(manifest)
    judged = next((one for one in evaluations if _of_training(one, manifest, split)), None)
    images, count = _images(viewer, judged, label, predicted) if judged is not None else ((), 0)
    return page(
        request,
        viewer,
        "version_images.html",
        screen="models",
        details=details,
        manifest=manifest,
        name=name,
        version=version,
        split=split,
        label=label,
        predicted=predicted,
        judged=judged,
        running=next((one for one in evaluations if one.live), None),
        images=images,
        count=count,
    )


@router.get("/models/{name}/{version}/card", dependencies=MAY_SEE)
def show_card(request: Request, viewer: ViewerDep, name: NamePath, version: VersionPath) -> Response:
    """The model card."""
    reference, manifest = viewer.stores.models.manifest(Reference(name=name, version=version))
    dataset = None
    if manifest.dataset is not None:
        with suppress(NotFound):
            dataset = viewer.stores.datasets.get(Reference.parse(manifest.dataset))
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    card = markdown.render(card_of(reference, manifest, dataset).partition("\n")[2])
    card = re.sub(r' style="text-align:(\w+)"', r' class="\1"', card)  # the policy allows no style attributes
    card = card.replace("<pre>", '<pre tabindex="0">').replace("</table>", "</table></div>")
    card = card.replace("<table>", '<div class="scroll" tabindex="0"><table>')
    return page(request, viewer, "version_card.html", screen="models", name=name, version=version, card=card)


def _details(viewer: Viewer, name: str, version: int) -> VersionDetails:
    return VersionScreen(viewer.stores.database, viewer.caller.project).details(name, version)


def _evaluations(viewer: Viewer, name: str, version: int) -> tuple[Evaluation, ...]:
    return Evaluations(viewer.stores.database, viewer.caller.project).of([f"{name}@{version}"])


def _measured(manifest: ModelManifest | None) -> tuple[str, Metrics | None]:
    """Return the split that the version was measured on, and its metrics: the test split if there is one."""
    measured = manifest.metrics if manifest is not None else None
    if measured is None or (measured.test is None and measured.val is None):
        return "test", None
    return ("val", measured.val) if measured.test is None else ("test", measured.test)


def _of_training(evaluation: Evaluation, manifest: ModelManifest | None, split: str) -> bool:
    """Whether an evaluation that has succeeded judged the images that the version was measured on."""
    spec = evaluation.spec
    return (
        manifest is not None
        and evaluation.state is JobState.SUCCEEDED
        and (manifest.dataset is None or (spec.dataset == manifest.dataset and spec.split == split))
    )


def _images(viewer: Viewer, judged: Evaluation, label: str, predicted: str) -> tuple[tuple[JudgedImage, ...], int]:
    """Return the images of a cell and their number: from the file of the evaluation, or else those in its report."""
    evaluations = Evaluations(viewer.stores.database, viewer.caller.project)
    file = evaluations.output(judged.id)
    if file is not None:
        read = judged_images(viewer.backends.stores.objects, file, judged.spec.format, label, predicted, MOST_IMAGES)
        if read is not None:
            return read
    report = evaluations.results([judged.id])[judged.id]
    if not predicted:
        mistakes = tuple(one for one in report.mistakes if not label or label in (one.label, one.predicted))
        return mistakes, len(mistakes)
    cells = (cell for cell in report.confusions if (cell.label, cell.predicted) == (label, predicted))
    return next(((cell.examples, cell.count) for cell in cells), ((), 0))


def _points(manifest: ModelManifest | None) -> str:
    """Return the epochs as JSON for a script element."""
    epochs = [epoch.model_dump(mode="json") for epoch in manifest.epochs] if manifest is not None else []
    return json.dumps(epochs).replace("<", "\\u003c")


def _serving(manifest: ModelManifest | None) -> Variant | None:
    """Return the measurements of the variant that serves."""
    files = manifest.variants if manifest is not None else ()
    return next((file for file in files if manifest is not None and file.name == manifest.serving), None)


def _main_alias(details: VersionDetails) -> str:
    """Return the alias that sends most of its requests to the version, "" without one."""
    return next((alias.alias for alias in details.aliases if alias.version == details.reference.version), "")
