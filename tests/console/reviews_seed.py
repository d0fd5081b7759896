"""Fills the review queue of a site: samples of a model's traffic, and images of a dataset with doubtful labels."""

import hashlib
import random
from collections.abc import Sequence

from contract.artifacts import Bucket
from contract.reviews import NewReview, ReviewAnswer
from services.storage.people.rows import Reviewer
from tests.console.site import Site
from tests.support.images import png

CLASSES = ("dress", "hat", "longsleeve", "outwear", "pants", "shirt", "shoes", "shorts", "skirt", "t-shirt")


def samples(site: Site, files: Sequence[bytes], **changes: object) -> list[NewReview]:
    """Return an item for each file: a stored copy, with a guess of the model clothing; the first one comes first."""
    chance = random.Random(17)
    items = []
    for number, file in enumerate(files):
        sha256 = hashlib.sha256(file).hexdigest()
        copy = site.objects.put(Bucket.JOBS, f"samples/{number}-{sha256}.jpg", file)
        first, second, third = chance.sample(CLASSES, 3)
        best = chance.uniform(0.34, 0.55)
        values = {
            "source": ("margin", "margin", "random")[number % 3],
            "sha256": sha256,
            "model": "clothing",
            "model_version": 2,
            "alias": "production",
            "file": copy,
            "guess": ((first, best), (second, best * 0.8), (third, 0.9 - 1.8 * best if best < 0.5 else 0.01)),
            "margin": best * 0.2,
            "priority": float(len(files) - number),
        }
        items.append(NewReview.model_validate(values | changes))
    return items


def add_samples(site: Site, count: int, **changes: object) -> None:
    """Add images that each look different."""
    site.own.reviews.add(samples(site, [png(number, 64, 64) for number in range(count)], **changes))


def answer_some(site: Site, people: Sequence[str], labels: Sequence[str]) -> None:
    """Let each person answer the next images with these labels."""
    reviews = site.own.reviews
    for name in people:
        person = Reviewer(name[:8].ljust(8, "0"), name)
        for item, label in zip(reviews.next(person, len(labels)), labels, strict=False):
            reviews.answer(item.id, item.lease, person, ReviewAnswer(label=label))
