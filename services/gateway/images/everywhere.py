"""Finds everything in a project that holds an image, and erases it."""

import io
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from contract.artifacts import ObjectRef
from contract.audit import AuditAction
from contract.errors import NotFound
from contract.image_index import HeldImage, ImageHolding
from contract.jobs import Job
from contract.kinds.erase import EraseRequest, EraseSpec
from contract.references import Reference
from media.image_index import find_images
from media.image_rows import ImageRows, has_rows
from services.gateway.images.index_cache import IndexCache
from services.storage.catalog.holdings import JobOutput
from services.storage.objects import Objects
from services.storage.stores import ProjectStores

MOST_OUTPUT_BYTES = 64 << 20  # of the outputs that are read while a client waits, newest first
MOST_OCCURRENCES = 200
NOWHERE = "no dataset version and no review of the project has an image with this hash"


@dataclass(frozen=True)
class Everywhere:
    """Methods raise NotFound if nothing has the image, DatabaseUnavailable, and ObjectsUnavailable."""

    stores: ProjectStores
    objects: Objects
    indexes: IndexCache

    def erase(self, sha256: str, request_id: str | None) -> Job:
        """Start a job that erases the image, and one for each copy of it that was sampled; return the last of them.

        If the image is being erased already, the job that does it is returned. Raises NotFound if nothing has it.
        """
        if (running := self.stores.holdings.erasing(sha256)) is not None:
            return running
        occurrences = self._occurrences(sha256, self.stores.holdings.versions())
        hashes = _hashes(sha256, self.stores.holdings.reviews(sha256).values(), occurrences)
        # All jobs are created first: the erasure of a copy also deletes the item that names its original.
        return [self._erase(one, request_id) for one in hashes][-1]

    def holding(self, sha256: str) -> ImageHolding:
        """Return what has the image or a copy of it, and the models that were trained with it.

        `sha256` of the answer is the one under which an erasure runs last.
        """
        versions, reviews = self.stores.holdings.versions(), self.stores.holdings.reviews(sha256)
        occurrences = list(self._occurrences(sha256, versions))
        hashes = _hashes(sha256, reviews.values(), occurrences)
        copies = [copy for copy in reversed(hashes) if copy != sha256]
        occurrences += [image for copy in copies for image in self._occurrences(copy, versions)]
        sha256 = hashes[-1]
        datasets = tuple(dict.fromkeys(image.dataset for image in occurrences))
        models, _ = self.stores.datasets.used_by([Reference.parse(dataset) for dataset in datasets])
        splits = {(image.dataset, image.split) for image in occurrences}
        outputs = tuple(self.stores.holdings.outputs().values())
        uploaded, skipped = self._uploaded(outputs, ImageRows(sha256))
        judged = [output for output in outputs if output.job in uploaded or (output.dataset, output.split) in splits]
        erasing = self.stores.holdings.erasing(sha256)
        return ImageHolding(
            sha256=sha256,
            occurrences=tuple(occurrences[:MOST_OCCURRENCES]),
            versions=datasets,
            models=models,
            predictions=tuple(output.job for output in judged if output.kind == "predict"),
            evaluations=tuple(output.job for output in judged if output.kind == "evaluate"),
            reviews=tuple(reviews),
            erasing=erasing and erasing.id,
            not_searched=(*(str(version) for version, index in versions.items() if index is None), *skipped),
        )

    def _erase(self, sha256: str, request_id: str | None) -> Job:
        if (running := self.stores.holdings.erasing(sha256)) is not None:
            return running
        job = self.stores.jobs.create(EraseRequest(kind="erase", spec=EraseSpec(sha256=sha256)), request_id)
        self.stores.audit.add(AuditAction.DELETE, f"images/{sha256}", f"jobs/{job.id}")
        return job

    def _occurrences(self, sha256: str, versions: dict[Reference, ObjectRef | None]) -> Iterator[HeldImage]:
        for reference, index in versions.items():
            if index is not None:
                with self.indexes.open(index) as file:
                    images = find_images(file, sha256)
                for image in images:
                    yield HeldImage(dataset=str(reference), **dict(image.record))

    def _uploaded(self, outputs: tuple[JobOutput, ...], image: ImageRows) -> tuple[set[str], list[str]]:
        """Return the jobs that classified the image in an archive, and those whose outputs were not read."""
        jobs, skipped, left = set[str](), list[str](), MOST_OUTPUT_BYTES
        for output in outputs:
            if output.dataset is not None:  # its images are those of a split
                continue
            left -= output.file.size
            if left < 0:
                skipped.append(output.job)
            elif has_rows(io.BytesIO(self.objects.read(output.file)), output.form, image):
                jobs.add(output.job)
        return jobs, skipped


def _hashes(sha256: str, reviewed: Collection[str], occurrences: Iterable[HeldImage]) -> tuple[str, ...]:
    """Return the hashes of an image's copies, then its own if the queue or a version has it; see `require`."""
    copies = tuple(sorted({copy for copy in reviewed if copy != sha256}))
    if sha256 in reviewed or next(iter(occurrences), None) is not None:
        return (*copies, sha256)
    if not copies:
        raise NotFound(NOWHERE)
    return copies
