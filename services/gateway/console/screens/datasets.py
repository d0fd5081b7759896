"""/datasets: the datasets of a project, and a version with its classes, decisions, warnings and images."""

from collections.abc import Mapping
from typing import Annotated, NamedTuple

from fastapi import APIRouter, Query, Request, Response

from contract.datasets import Split
from contract.errors import Conflict
from contract.references import Reference
from media.warned_images import ListedImage, names_images
from services.gateway.console.pages import page, redirect
from services.gateway.console.screens.image_sets import library_of
from services.gateway.console.viewer import MAY_CHANGE, MAY_SEE, ViewerDep
from services.gateway.dependencies import NamePath, VersionPath
from services.storage.screens.datasets import DatasetScreens

router = APIRouter(include_in_schema=False)

PAGE = 50
SAMPLE_IMAGES = 16


class ClassLine(NamedTuple):
    """A class with its images by split; `share` is relative to the largest class."""

    label: str
    train: int
    val: int
    test: int
    share: float

    @property
    def total(self) -> int:
        return self.train + self.val + self.test


@router.get("/datasets", dependencies=MAY_SEE)
def list_datasets(request: Request, viewer: ViewerDep, cursor: Annotated[str, Query(max_length=63)] = "") -> Response:
    """Datasets, by name."""
    rows, following = DatasetScreens(viewer.stores.database, viewer.caller.project).page(PAGE, cursor)
    return page(request, viewer, "datasets.html", screen="datasets", rows=rows, next=following, cursor=cursor)


@router.get("/datasets/{name}", dependencies=MAY_SEE)
def newest_version(viewer: ViewerDep, name: NamePath) -> Response:
    """Go to the newest version."""
    return redirect(f"/datasets/{name}/{viewer.stores.datasets.named(name).versions[0]}")


@router.get("/datasets/{name}/{version}", dependencies=MAY_SEE)
def show_version(request: Request, viewer: ViewerDep, name: NamePath, version: VersionPath) -> Response:
    """One version of a dataset."""
    reference = Reference(name=name, version=version)
    shown = viewer.stores.datasets.get(reference)
    return page(
        request,
        viewer,
        "dataset.html",
        screen="datasets",
        dataset=shown,
        reference=str(reference),
        versions=viewer.stores.datasets.named(name).versions,
        classes=class_lines(shown.classes, shown.counts_by_class),
        models=DatasetScreens(viewer.stores.database, viewer.caller.project).trained_on(str(reference)),
        images=_sample(viewer, reference),
        warned={warning.code for warning in shown.warnings if names_images(warning)},
    )


@router.post("/datasets/{name}/{version}/delete", dependencies=MAY_CHANGE)
def delete_version(viewer: ViewerDep, name: NamePath, version: VersionPath) -> Response:
    """Delete a version."""
    viewer.stores.datasets.delete(Reference(name=name, version=version))
    return redirect("/datasets", f"{name}@{version} was deleted.")


def class_lines(classes: tuple[str, ...], counts: Mapping[Split, Mapping[str, int]]) -> list[ClassLine]:
    """Return the classes of a version with their counts."""
    train, val, test = (counts.get(split, {}) for split in Split)
    by_class = {label: (train.get(label, 0), val.get(label, 0), test.get(label, 0)) for label in classes}
    most = max(map(sum, by_class.values()), default=0) or 1
    return [ClassLine(label, *numbers, sum(numbers) / most) for label, numbers in by_class.items()]


def _sample(viewer: ViewerDep, reference: Reference) -> tuple[ListedImage, ...] | None:
    try:
        return library_of(viewer).sample(reference, SAMPLE_IMAGES)
    except Conflict:  # prepared by an older release, without an index
        return None
