"""What the answers of people change in a dataset version."""

from collections.abc import Collection, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from contract.base import Version
from contract.errors import Invalid
from contract.kinds.revise import ReviseSpec
from contract.labels import label_fault, normalised_label
from contract.references import Reference
from contract.reviews import AnsweredReview
from services.preprocess.revision_changes import Addition, Changes
from worker.task import Task


def add_reviews(task: Task, spec: ReviseSpec, index: pa.Table, changes: Changes) -> None:
    """Add the decided items of the review queue that a revision names.

    "all" are those that belong to the dataset: images of its versions, and samples of model versions that were trained
    on it. Of several answers about an image, the last decision counts. A sample's copy is added with its label; "none
    of the classes" removes an image of the dataset, and leaves a sample out. A sample whose original is in the parent,
    by its index, is an answer about that image: a copy of a test image must not get into training. Of "all", answers
    that cannot be a label are left out. Raise Invalid if there is no such item.
    """
    parent = Reference.parse(spec.parent)
    items = task.reviews.answered(spec.dataset) if spec.reviews == "all" else _named(task, spec.reviews)
    present = _present(index, {item.original_sha256 for item in items if item.original_sha256 is not None})
    for item in sorted(items, key=lambda one: (one.decided_at, one.id)):
        if item.dataset is not None and Reference.parse(item.dataset).name != spec.dataset:
            raise Invalid(f"the review {item.id} is of an image of {item.dataset}, not of {spec.dataset}; leave it out")
        if spec.reviews == "all" and item.label is not None and (fault := label_fault(normalised_label(item.label))):
            task.log(f"the review {item.id} is left out: {fault}; undo it and answer again")
            continue
        sha256 = item.sha256
        if item.original_sha256 is not None and item.original_sha256 in present:
            sha256 = item.original_sha256
        elif item.file is not None:
            changes.additions[sha256] = Addition(item.file, f"reviews/{item.id}", "")
        changes.reviews.setdefault(sha256, {})[item.id] = item.label
        changes.set(sha256, item.label)
        if _is_newer(item, parent.version):
            changes.newer.add(item.sha256)


def _present(index: pa.Table, hashes: Collection[str]) -> frozenset[str]:
    """Return the hashes that an index has."""
    if not hashes:
        return frozenset()
    values = pa.array([bytes.fromhex(sha256) for sha256 in hashes], pa.binary(32))
    column = index["sha256"]
    return frozenset(digest.hex() for digest in column.filter(pc.is_in(column, value_set=values)).to_pylist())


def _named(task: Task, ids: Collection[str]) -> Sequence[AnsweredReview]:
    items = {item.id: item for item in task.reviews.answered()}
    for review in ids:
        if review not in items:
            raise Invalid(f"the review {review} is unknown, not decided, or in a version already; leave it out")
    return [items[review] for review in dict.fromkeys(ids)]


def _is_newer(item: AnsweredReview, version: Version | None) -> bool:
    """Return whether the item is of an image of a version that is newer than the parent."""
    of = Reference.parse(item.dataset).version if item.dataset is not None else None
    return of is not None and version is not None and of > version
