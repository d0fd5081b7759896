"""The image of an item in the review queue: the copy of a sample, or the original of a dataset's image."""

from dataclasses import dataclass

from contract.errors import Conflict, Corrupt, NotFound, ObjectsUnavailable
from contract.references import Reference
from services.gateway.images.formats import media_type_of
from services.gateway.images.library import Library
from services.storage.people.reviews import Reviews

SHOWN = frozenset({"image/jpeg", "image/png", "image/gif", "image/bmp", "image/webp", "image/avif"})  # by browsers


@dataclass(frozen=True)
class ReviewedImages:
    """Raises NotFound if the item or its image is gone, Corrupt, DatabaseUnavailable, and ObjectsUnavailable."""

    reviews: Reviews
    library: Library

    def read(self, item_id: str) -> bytes:
        """Return a file that browsers show; the audit trail gets an entry."""
        item, copy = self.reviews.view(item_id)
        if copy is not None:
            return self.library.objects.read(copy)
        if item.dataset is None:
            raise NotFound("the copy of the image is gone: it has expired, or a dataset version has it now")
        reference = Reference.parse(item.dataset)
        try:
            file = self.library.read_original(reference, item.sha256)[1]
        # it lies in a compressed tar, was changed or damaged, is gone, or its bucket cannot be reached
        except (Conflict, Corrupt, NotFound, ObjectsUnavailable):
            return self.library.thumbnail(reference, item.sha256)
        return file if media_type_of(file) in SHOWN else self.library.thumbnail(reference, item.sha256)
