"""Fills the review queue of a site: samples of a model's traffic, and images of a dataset with doubtful labels."""

import hashlib
import random
from collections.abc import Sequence

from contract.artifacts import Bucket
from contract.image_index import ImageRecord
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


def add_samples(site: Site, count: int, first: int = 0, **changes: object) -> None:
    """Add images that each look different: those with the numbers from `first` on, which the queue must not have."""
    files = [png(number, 64, 64) for number in range(first, first + count)]
    assert site.own.reviews.add(samples(site, files, **changes)) == count


def doubtful_labels(records: Sequence[ImageRecord], dataset: str) -> list[NewReview]:
    """Return an item for each image, whose label a model doubts."""
    others = dict(zip(CLASSES, (*CLASSES[1:], CLASSES[0]), strict=True))
    return [
        NewReview(
            source="label_errors",
            sha256=record.sha256,
            model="clothing",
            model_version=2,
            dataset=dataset,
            split=record.split,
            label_now=record.label,
            guess=((others[record.label], 0.82), (record.label, 0.11)),
            margin=-0.71,
            priority=0.71,
        )
        for record in records
    ]


def add_reviews(site: Site, photos: Sequence[bytes], records: Sequence[ImageRecord]) -> None:
    """Add samples and doubtful labels, and what two people have answered: they agree on most."""
    reviews, half = site.own.reviews, len(photos) // 2
    reviews.add(samples(site, photos[:half], votes=2))
    people = [Reviewer("ada00000", "ada"), Reviewer("bob00000", "bob")]
    for person in people:
        for number, item in enumerate(reviews.batch(person, half).items):
            differs = person.name == "bob" and number % 7 == 3
            label = item.guess[1][0] if differs else item.guess[0][0]
            reviews.answer(item.id, item.lease, person, ReviewAnswer(label=label))
    reviews.add(doubtful_labels(records[::9], "clothing@2"))
    for number, item in enumerate(reviews.batch(people[0], len(records) // 18).items):
        label = item.guess[0][0] if number % 3 else item.label_now
        reviews.answer(item.id, item.lease, people[0], ReviewAnswer(label=label))
    reviews.add(samples(site, photos[half:]))
