"""Plans a dataset from its archive: the class, split and place of each image, and the size and mode of all."""

import gc
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from contract.base import Frozen, Whole
from contract.choices import Choice
from contract.datasets import DatasetWarning, Rejected, Split
from contract.images import ImageSpec
from contract.kinds.preprocess import PreprocessSpec
from contract.tracing import traced
from media.archives.archive import Archive
from media.archives.limits import Limits
from media.archives.rejections import Rejections
from services.preprocess.dataset_files import DatasetFiles
from services.preprocess.decisions import decide
from services.preprocess.image_files import SPLITS, ImageFiles
from services.preprocess.layout import arrange
from services.preprocess.sampling import sample_images
from services.preprocess.split import assign_splits
from services.preprocess.warnings import Warnings
from worker.members import with_places


class PlanHead(Frozen):
    """What all parts of a dataset share; `image` is decided, `inflated` counts the bytes read to plan.

    `places`: the places of the members are those in the upload, not in what a compressed tar was unpacked to.
    `check_grey`: mode L was decided from some of the images, so each is checked for colour.
    """

    classes: tuple[str, ...]
    image: ImageSpec
    check_grey: bool
    strict: bool
    places: bool
    decisions: tuple[Choice, ...]
    warnings: tuple[DatasetWarning, ...]
    rejected: Whole
    rejected_files: tuple[Rejected, ...]
    inflated: Whole


@dataclass(frozen=True)
class Plan:
    """The head, and a row for each image in the order of the archive.

    The columns are `path`, `member` (its name as stored), `label` and `split` (numbers in `classes` and SPLITS), and
    the member's place.
    """

    head: PlanHead
    rows: pa.Table


def plan_dataset(path: Path, spec: PreprocessSpec, limits: Limits, *, places: bool = True) -> Plan:
    """Plan the dataset of an archive; the same for the same archive and spec.

    `places` is false if the file is an upload that was unpacked. Raise BadArchive if the archive is unreadable,
    BadDataset if its files do not form a dataset.
    """
    rejections = Rejections()
    gc.disable()  # garbage collection would take a fifth of the time, and nothing here is in a cycle
    try:
        with Archive(path, limits, rejections, spec.layout.encoding) as archive:
            return plan_files(archive, spec, rejections, places=places)
    finally:
        gc.enable()


@traced("plan")
def plan_files(archive: DatasetFiles, spec: PreprocessSpec, rejections: Rejections, *, places: bool) -> Plan:
    """Plan a dataset from its files; `rejections` are those that are left out already."""
    warnings = Warnings()
    warnings.add_archive(archive)
    warnings.add_hidden(rejections)
    images = arrange(
        archive.names, archive.read, archive.limits, rejections, spec.layout, spec.split.group_by, warnings
    )
    classes = tuple(sorted(images.labels))
    by_split = assign_splits(images, spec.split, warnings)
    del images  # makes room for the rows
    rows = _rows(archive, by_split, classes)
    paths = rows["path"]
    sample = sample_images(len(rows), lambda number, most: archive.head(paths[number].as_py(), most))
    image, decisions = decide(spec.image, sample)
    head = PlanHead(
        classes=classes,
        image=image,
        check_grey=any(choice.what == "image.mode" and choice.value == "L" for choice in decisions),
        strict=spec.strict,
        places=places,
        decisions=decisions,
        warnings=warnings.all,
        rejected=len(rejections),
        rejected_files=rejections.first(),
        inflated=archive.inflated,
    )
    return Plan(head, rows)


def _rows(archive: DatasetFiles, by_split: dict[Split, ImageFiles], classes: tuple[str, ...]) -> pa.Table:
    """Return the rows, in the order of the archive; empties `by_split` to make room for them."""
    files = [by_split.pop(split) for split in SPLITS]
    names = [name for members in files for name in members.names]
    labels = np.concatenate([members.label_numbers(classes) for members in files])
    splits = np.repeat(np.arange(len(SPLITS), dtype=np.int8), [len(members) for members in files])
    del files
    order = np.argsort(archive.places(names)[:, 0], kind="stable")
    names = [names[number] for number in order.data]  # not a list of numbers, which would take 36 bytes each
    path = pa.array(names, pa.string())
    renamed = any(archive.member(name) is not name for name in names)
    columns = {
        "path": path,
        "member": pa.array([archive.member(name) for name in names], pa.string()) if renamed else path,
        "label": labels[order],
        "split": splits[order],
    }
    return with_places(pa.table(columns), archive.places(names))
