"""/datasets/{name}/{version}/images: the images of a version, one of them, and how two versions differ."""

from typing import Annotated, NamedTuple

from fastapi import APIRouter, Query, Request, Response

from contract.datasets import DatasetManifest, Split
from contract.image_index import ImagePage
from contract.references import Reference
from media.warned_images import COPIES, ListedPage, names_images
from services.gateway.api.images import HashPath
from services.gateway.console.pages import page, redirect
from services.gateway.console.viewer import MAY_CHANGE, MAY_SEE, Viewer, ViewerDep
from services.gateway.dependencies import NamePath, VersionPath
from services.gateway.edge.request_id import current_request_id
from services.gateway.images.differences import Differences
from services.gateway.images.everywhere import Everywhere
from services.gateway.images.library import Library

router = APIRouter(include_in_schema=False)

PAGE = 60
EXAMPLES = 12
WARNING_NAMES = {
    "duplicate_images": "more than once",
    "images_in_several_splits": "in several splits",
    "images_with_several_labels": "in several classes",
    "repaired_images": "cut off",
    "colour_in_grey_dataset": "lost their colour",
    "images_without_group": "without a group",
    "one_image_classes": "only one in its class",
    "untrained_classes": "of a class without training images",
    "untested_classes": "of a class that is not tested",
}


class ClassChange(NamedTuple):
    """The images of a class in two versions."""

    label: str
    before: int
    after: int


def library_of(viewer: Viewer) -> Library:
    """Return the images of the viewer's project."""
    return Library(viewer.stores, viewer.backends.stores.objects, viewer.backends.indexes)


@router.get("/datasets/{name}/{version}/images", dependencies=MAY_SEE)
def list_images(
    request: Request,
    viewer: ViewerDep,
    name: NamePath,
    version: VersionPath,
    split: str = "",
    label: Annotated[str, Query(alias="class", max_length=128)] = "",
    warning: Annotated[str, Query(max_length=64)] = "",
    cursor: Annotated[str, Query(max_length=64)] = "",
) -> Response:
    """A page of images, filtered by split, class and warning."""
    reference = Reference(name=name, version=version)
    _, manifest = viewer.stores.datasets.manifest(reference)
    split = split if split in set(Split) else ""
    label = label if label in manifest.classes else ""
    warnings = {shown.code: shown for shown in manifest.warnings if names_images(shown)}
    filters = (PAGE, cursor or None, Split(split) if split else None, label or None)
    images: ImagePage | ListedPage
    if warning in warnings:
        images = listed = library_of(viewer).warned(reference, warnings[warning], *filters)
        count = listed.total
    else:
        images, count, warning = library_of(viewer).page(reference, *filters), _count(manifest, split, label), ""
    return page(
        request,
        viewer,
        "images.html",
        screen="datasets",
        name=name,
        version=version,
        reference=str(reference),
        images=images.items,
        next=images.next,
        cursor=cursor,
        chosen={"split": split, "class": label, "warning": warning},
        splits=tuple(map(str, Split)),
        classes=manifest.classes,
        warnings=warnings,
        names=WARNING_NAMES,
        copies=COPIES,
        count=count,
    )


@router.get("/datasets/{name}/{version}/images/{sha256}", dependencies=MAY_SEE)
def show_image(request: Request, viewer: ViewerDep, name: NamePath, version: VersionPath, sha256: HashPath) -> Response:
    """One image, and where it is used."""
    reference = Reference(name=name, version=version)
    details = library_of(viewer).details(reference, sha256)
    return page(
        request,
        viewer,
        "image.html",
        screen="datasets",
        name=name,
        version=version,
        reference=str(reference),
        image=details.occurrences[0],
        details=details,
        reviews=len(viewer.stores.holdings.reviews(sha256)),
        erasing=viewer.stores.holdings.erasing(sha256),
    )


@router.post("/datasets/{name}/{version}/images/{sha256}/erase", dependencies=MAY_CHANGE)
def erase_image(viewer: ViewerDep, name: NamePath, version: VersionPath, sha256: HashPath) -> Response:
    """Erase an image everywhere in the project."""
    library_of(viewer).require(Reference(name=name, version=version), sha256)
    backends = viewer.backends
    everywhere = Everywhere(viewer.stores, backends.stores.objects, backends.indexes)
    job = everywhere.erase(sha256, current_request_id())
    return redirect(f"/jobs/{job.id}", "The image is being erased.")


@router.get("/datasets/{name}/compare/{before}/{after}", dependencies=MAY_SEE)
def compare(request: Request, viewer: ViewerDep, name: NamePath, before: VersionPath, after: VersionPath) -> Response:
    """What changed between two versions."""
    manifests = [viewer.stores.datasets.manifest(Reference(name=name, version=number))[1] for number in (before, after)]
    old, new = manifests
    newer, older = (Reference(name=name, version=number) for number in (after, before))
    indexed = old.index is not None and new.index is not None
    differences = Differences(library_of(viewer)).examples(newer, older, EXAMPLES) if indexed else None
    totals = [_class_totals(manifest) for manifest in manifests]
    labels = list(dict.fromkeys((*old.classes, *new.classes)))
    changes = [ClassChange(label, totals[0].get(label, 0), totals[1].get(label, 0)) for label in labels]
    return page(
        request,
        viewer,
        "compare_datasets.html",
        screen="datasets",
        name=name,
        before=before,
        after=after,
        old=old,
        new=new,
        versions=viewer.stores.datasets.named(name).versions,
        differences=differences,
        changes=changes,
        most=max((max(change.before, change.after) for change in changes), default=1) or 1,
    )


def _count(manifest: DatasetManifest, split: str, label: str) -> int:
    splits = [Split(split)] if split else list(Split)
    counts = [manifest.counts_by_class.get(each, {}) for each in splits]
    return sum(classes.get(label, 0) if label else sum(classes.values()) for classes in counts)


def _class_totals(manifest: DatasetManifest) -> dict[str, int]:
    totals: dict[str, int] = {}
    for classes in manifest.counts_by_class.values():
        for label, count in classes.items():
            totals[label] = totals.get(label, 0) + count
    return totals
