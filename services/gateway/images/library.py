"""The images of a project's dataset versions: lists them, finds one, and says what was made with it."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import BinaryIO

from contract.audit import AuditAction
from contract.datasets import DatasetManifest, DatasetWarning, Split
from contract.errors import Conflict, Invalid, NotFound
from contract.image_index import ImageDetails, ImagePage
from contract.references import Reference, S3Source
from media.archives.limits import Limits
from media.image_index import IndexedImage, find_images, index_page, missing_images
from media.warned_images import ListedImage, ListedPage, sample, warned_page
from services.gateway.images.files import read_original, read_thumbnail
from services.gateway.images.index_cache import IndexCache
from services.storage.objects import Objects
from services.storage.sources import SourcePrefix
from services.storage.stores import ProjectStores

VERSIONS = 20  # of a dataset, newest first, in which an image is searched
MOST_LISTED = 10  # classes in an error message


@dataclass(frozen=True)
class Library:
    """Methods raise NotFound, Conflict for a version without an index, DatabaseUnavailable, and ObjectsUnavailable."""

    stores: ProjectStores
    objects: Objects
    indexes: IndexCache

    def page(
        self, reference: Reference, limit: int, cursor: str | None, split: Split | None, label: str | None
    ) -> ImagePage:
        """Return images of a version; raises Invalid for a class that it does not have, and for a bad cursor."""
        manifest = self.manifest(reference)
        if label is not None and label not in manifest.classes:
            listed = ", ".join(manifest.classes[:MOST_LISTED])
            more = f" and {len(manifest.classes) - MOST_LISTED} more" if len(manifest.classes) > MOST_LISTED else ""
            raise Invalid(f"{reference} has no class {label!r}; its classes are {listed}{more}")
        with self.index(reference, manifest) as index:
            return index_page(index, limit, cursor, split, label)

    def sample(self, reference: Reference, count: int) -> tuple[ListedImage, ...]:
        """Return some images of as many classes as possible."""
        with self.index(reference, self.manifest(reference)) as index:
            return sample(index, count)

    def warned(
        self,
        reference: Reference,
        warning: DatasetWarning,
        limit: int,
        cursor: str | None,
        split: Split | None,
        label: str | None,
    ) -> ListedPage:
        """Return the images of a version that one of its warnings is about; raises Invalid for a bad cursor."""
        with self.index(reference, self.manifest(reference)) as index:
            return warned_page(index, warning, limit, cursor, split, label)

    def details(self, reference: Reference, sha256: str) -> ImageDetails:
        """Return where an image occurs, and which versions, models and jobs have used it."""
        occurrences = tuple(image.record for image in self._find(reference, self.manifest(reference), sha256))
        versions = tuple(self._versions_with(reference, sha256))
        models, jobs = self.stores.datasets.used_by(versions)
        texts = tuple(map(str, versions))
        return ImageDetails(sha256=sha256, occurrences=occurrences, versions=texts, models=models, jobs=jobs)

    def require(self, reference: Reference, sha256: str) -> None:
        """Raise NotFound unless the version has the image."""
        self._find(reference, self.manifest(reference), sha256)

    def require_all(self, reference: Reference, hashes: Collection[str]) -> None:
        """Raise Invalid unless the version has all of these images."""
        with self.index(reference, self.manifest(reference)) as index:
            missing = missing_images(index, hashes)
        if missing:
            more = f" and {len(missing) - MOST_LISTED} more" if len(missing) > MOST_LISTED else ""
            raise Invalid(f"{reference} has no image with the hash {', '.join(missing[:MOST_LISTED])}{more}")

    def thumbnail(self, reference: Reference, sha256: str) -> bytes:
        """Return a small JPEG."""
        manifest = self.manifest(reference)
        return read_thumbnail(self.objects, manifest, self._find(reference, manifest, sha256)[0].record)

    def original(self, reference: Reference, sha256: str) -> tuple[str, bytes]:
        """Return the path in the archive, and the bytes as they were uploaded; the audit trail gets an entry.

        Raises Conflict if the archive can only be read as a whole, or if an object of a bucket was changed or deleted.
        """
        path, file = self.read_original(reference, sha256)
        self.stores.audit.add(AuditAction.READ, f"images/{sha256}", f"datasets/{reference}")
        return path, file

    def read_original(self, reference: Reference, sha256: str) -> tuple[str, bytes]:
        """Like `original`, without an entry in the audit trail."""
        image, member, place, number = self._find(reference, self.manifest(reference), sha256)[0]
        source = self.stores.datasets.originals(reference)[number].source
        if isinstance(source, S3Source):
            file = SourcePrefix.from_environment(source).read_original(member, sha256, Limits().member_bytes)
        elif place is None:
            raise Conflict(
                "the image lies in a compressed tar, of which no part can be read; upload a zip or a plain tar"
            )
        else:
            file = read_original(self.objects, self.stores.uploads.ref(source.upload), place, sha256)
        return image.path, file

    def manifest(self, reference: Reference) -> DatasetManifest:
        """Return the manifest of a version."""
        return self.stores.datasets.manifest(reference)[1]

    def index(self, reference: Reference, manifest: DatasetManifest) -> BinaryIO:
        """Return the index of a version as an open file."""
        if manifest.index is None:
            raise Conflict(
                f"{reference} was prepared by an older release and has no index of its images; a job of the kind index "
                f'makes one: {{"kind": "index", "spec": {{"dataset": "{reference}"}}}}'
            )
        return self.indexes.open(manifest.index)

    def _find(self, reference: Reference, manifest: DatasetManifest, sha256: str) -> tuple[IndexedImage, ...]:
        with self.index(reference, manifest) as index:
            images = find_images(index, sha256)
        if not images:
            raise NotFound(f"{reference} has no image with this hash")
        return images

    def _versions_with(self, reference: Reference, sha256: str) -> list[Reference]:
        numbers = sorted({*self.stores.datasets.named(reference.name).versions[:VERSIONS], reference.version or 0})
        versions = []
        for number in reversed(numbers):
            version = Reference(name=reference.name, version=number)
            manifest = self.manifest(version)
            if manifest.index is None:
                continue
            with self.indexes.open(manifest.index) as index:
                if find_images(index, sha256):
                    versions.append(version)
        return versions
