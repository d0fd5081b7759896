"""The handler of revise jobs: makes a dataset version from another one and what differs."""

from bisect import bisect_left
from collections.abc import Sequence

import pyarrow as pa

from contract.datasets import DatasetManifest, OriginalFiles, Revision
from contract.errors import BadDataset, Invalid
from contract.kinds.revise import AddedOriginals, RevisedDataset, ReviseSpec
from contract.references import Reference, UploadSource
from media.archives.rejections import shown
from media.image_index import read_index, records
from services.preprocess.added_images import pack, prepared, splits_of
from services.preprocess.erased_version import VersionWithout
from services.preprocess.label_changes import add_labels
from services.preprocess.parts import PreparedPart, Store
from services.preprocess.review_changes import add_reviews
from services.preprocess.revised_version import RevisedVersion
from services.preprocess.revision_changes import Addition, Changes, Delta, delta_of, require
from services.preprocess.warnings import plural
from services.storage.catalog.uploads import new_upload_id
from worker.task import Task


def revise(task: Task) -> RevisedDataset:
    """Make the next version of a dataset; the parent and its objects stay as they are.

    Raise Invalid or BadDataset if something named does not exist, or if nothing would change.
    """
    spec = ReviseSpec.model_validate(task.job.spec)
    reference, parent = task.datasets.manifest(Reference.parse(spec.parent))
    if parent.index is None:
        raise Invalid(f"{reference} has no index of its images; a job of the kind index makes one")
    index = task.folder / "index.parquet"
    task.objects.fetch(parent.index, index)
    table = read_index(index)
    changes = _changes(task, spec, table)
    delta = delta_of(table, changes.labels, spec.test_split)
    require(changes, delta)
    additions = [addition for sha256, addition in changes.additions.items() if sha256 in delta.missing]
    return _Revising(task, spec, reference, parent, table).made(changes, delta, additions)


def _changes(task: Task, spec: ReviseSpec, index: pa.Table) -> Changes:
    """Return what a spec asks for; the later source counts for an image that is in several."""
    changes = Changes()
    if spec.reviews:
        add_reviews(task, spec, index, changes)
    if spec.labels is not None:
        add_labels(task, spec.labels.upload, index, changes)
    changes.add(spec.changes)
    return changes


class _Revising:
    """A job's parent, and the rows of its index."""

    def __init__(
        self, task: Task, spec: ReviseSpec, reference: Reference, parent: DatasetManifest, index: pa.Table
    ) -> None:
        self._task = task
        self._spec = spec
        self._reference = reference
        self._parent = parent
        self._index = index

    def made(self, changes: Changes, delta: Delta, additions: Sequence[Addition]) -> RevisedDataset:
        """Return the new version; without the manifest if answers of people only confirm what the parent has."""
        reviews = changes.applied(delta)
        if not (delta.labels or delta.removed or additions):
            if not reviews and not self._is_of_pipeline:
                raise Invalid(self._nothing(delta))
            self._task.log(
                f"{len(reviews)} answers confirm the labels of {self._reference}, so there is no new version"
                if reviews
                else self._nothing(delta)
            )
            return RevisedDataset(manifest=None, reviews=reviews)
        classes = self._classes(delta, additions)
        sources = self._task.datasets.originals(self._reference)
        manifest, index, labels = self._without(delta)
        added, part = None, None
        if additions:
            added, part = self._added(manifest, classes, additions)
            sources = (*sources, OriginalFiles(source=UploadSource(upload=added.upload)))
        version = RevisedVersion(self._task, manifest, labels, classes, self._stored("revised"))
        removed = manifest.counts.train < self._parent.counts.train
        manifest = version.made(index, self._task.folder / "index.parquet", part, sources, removed=removed)
        revision = Revision(
            parent=str(self._reference),
            relabelled=len(delta.labels),
            added=sum(sum(by_class.values()) for by_class in part.counts_by_class.values()) if part else 0,
            removed=len(delta.removed),
            held_back=delta.held_back,
            unmatched=changes.unmatched,
            test_split=self._spec.test_split,
        )
        self._task.log(
            f"{revision.relabelled} images relabelled, {revision.added} added, {revision.removed} removed, "
            f"{revision.held_back} held back because the test split is frozen"
        )
        manifest = manifest.model_copy(update={"revision": revision})
        return RevisedDataset(manifest=manifest, originals=added, reviews=reviews)

    @property
    def _is_of_pipeline(self) -> bool:
        """A pipeline goes on without a new version, such as when all answers are about frozen test images."""
        return self._task.job.pipeline is not None

    def _nothing(self, delta: Delta) -> str:
        if delta.held_back:
            return (
                f"nothing would change: {plural(delta.held_back, 'change is', 'changes are')} in the test split, which "
                'is frozen; set test_split to "open" to make them'
            )
        if self._spec.reviews and not (self._spec.changes or self._spec.labels):
            return f"no decided review waits for a version of {self._spec.dataset}; answer some first"
        return f"nothing would change: {self._reference} has these labels already, and there is no image to add"

    def _classes(self, delta: Delta, additions: Sequence[Addition]) -> tuple[str, ...]:
        """Return the classes of the new version, in order; raise Invalid if one would lose its last image."""
        totals = {
            label: sum(by_class.get(label, 0) for by_class in self._parent.counts_by_class.values())
            for label in self._parent.classes
        }
        had = {label for label, count in totals.items() if count}
        changed = pa.array([*delta.labels, *delta.removed], pa.int64())
        for label in self._index["label"].take(changed).to_pylist():
            totals[label] -= 1
        for label in (*delta.labels.values(), *(addition.label for addition in additions)):
            totals[label] = totals.get(label, 0) + 1
        emptied = sorted(label for label in had if not totals[label])
        if emptied and self._spec.empty_classes == "refuse":
            named = ", ".join(repr(shown(label)) for label in emptied[:3])
            raise Invalid(
                f"no image would be left in {plural(len(emptied), 'class', 'classes')}, such as {named}; keep one of "
                'each, or set empty_classes to "drop" to take the class out of the dataset'
            )
        return tuple(sorted(set(totals) - set(emptied)))

    def _without(self, delta: Delta) -> tuple[DatasetManifest, pa.Table, dict[int, str]]:
        """Return the parent and its index without the removed rows, and the new labels by the rows that are left."""
        if not delta.removed:
            return self._parent, self._index, delta.labels
        removed = sorted(delta.removed)
        images = records(self._index.take(pa.array(removed)))
        version = VersionWithout(self._task, self._parent, images, self._stored("kept"))
        labels = {row - bisect_left(removed, row): label for row, label in delta.labels.items()}
        return *version.made(self._index), labels

    def _added(
        self, manifest: DatasetManifest, classes: Sequence[str], additions: Sequence[Addition]
    ) -> tuple[AddedOriginals, PreparedPart]:
        """Return the zip of the added images' originals, and what was prepared from it."""
        path = self._task.folder / "added.zip"
        additions = pack(self._task, additions, path)
        splits = splits_of(additions, manifest.counts_by_class, self._spec.test_split)
        store = self._stored("added")
        part = prepared(self._task, manifest, classes, additions, splits, path, store)
        if part.rejected == len(additions):
            raise BadDataset("none of the images to add can be read; leave their reviews out")
        return AddedOriginals(upload=new_upload_id(), file=store(path)), part

    def _stored(self, prefix: str) -> Store:
        """Return the function that stores files, of which those of different prefixes may have the same name."""
        return lambda file: self._task.put(f"{prefix}-{file.name}", file)
