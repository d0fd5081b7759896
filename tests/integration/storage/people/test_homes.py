"""Which dataset an answer belongs to: the next version, the pipelines and the screen agree."""

from typing import Any, NamedTuple

from contract.access import DEFAULT_PROJECT
from contract.references import Reference
from services.storage.catalog.models import Models
from services.storage.database import Database
from services.storage.people.reviews import Reviews
from services.storage.screens.next_versions import NextVersions
from services.storage.sweep.pipeline_signals import Signals
from services.storage.tables import model_versions
from tests.integration.storage.people.items import ANN, CAT, give, label_error, sample
from tests.integration.storage.steps import publish_dataset, publish_model
from tests.support.clock import FakeClock


def trained_on(database: Database, dataset: str | None) -> int:
    """Publish the next version of the model pet-cnn as trained on a dataset version; None for one that was uploaded."""
    reference = publish_model(database, "pet-cnn")
    table = model_versions.c
    with database.write() as connection:
        own = (table.name == reference.name) & (table.version == reference.version)
        connection.execute(model_versions.update().where(own).values(dataset=dataset))
    return reference.version or 0


def answer_sample(reviews: Reviews, number: int, clock: FakeClock, **changes: Any) -> str:
    reviews.add([sample(number, clock).model_copy(update=changes)])
    return give(reviews, ANN, CAT).id


class Homes(NamedTuple):
    """The items of each dataset by the queue, their number by the screen and by the pipelines, and items of none."""

    answered: dict[str, set[str]]
    added: dict[str, int]
    labels: dict[str, int]
    homeless: int


def homes(database: Database, reviews: Reviews, *datasets: str) -> Homes:
    versions, homeless = NextVersions(database, DEFAULT_PROJECT).list()
    return Homes(
        {name: {item.id for item in reviews.answered(name)} for name in datasets},
        {version.dataset: version.added for version in versions},
        {name: Signals(database).labels(DEFAULT_PROJECT, name) for name in datasets},
        homeless,
    )


def test_a_sample_belongs_to_the_dataset_that_its_model_version_was_trained_on(
    reviews: Reviews, database: Database, clock: FakeClock
) -> None:
    publish_dataset(database, "pets")
    publish_dataset(database, "zoo")
    versions = [trained_on(database, dataset) for dataset in ("pets@1", "zoo@1", None)]

    of_pets, of_zoo, of_uploaded = (
        answer_sample(reviews, version, clock, model_version=version) for version in versions
    )
    of_any = answer_sample(reviews, 8, clock, model_version=None)
    answer_sample(reviews, 9, clock, model="birds")

    items = {"pets": {of_pets}, "zoo": {of_zoo, of_uploaded, of_any}}
    numbers = {"pets": 1, "zoo": 3}
    assert homes(database, reviews, "pets", "zoo") == Homes(items, numbers, numbers, homeless=1)


def test_a_sample_of_a_deleted_version_belongs_to_the_dataset_of_the_newest_one(
    reviews: Reviews, database: Database, clock: FakeClock
) -> None:
    publish_dataset(database, "pets")
    publish_dataset(database, "zoo")
    first, second = (trained_on(database, dataset) for dataset in ("pets@1", "zoo@1"))
    ids = {answer_sample(reviews, version, clock, model_version=version) for version in (first, second)}

    Models(database, DEFAULT_PROJECT).delete(Reference(name="pet-cnn", version=first))

    assert homes(database, reviews, "zoo") == Homes({"zoo": ids}, {"zoo": 2}, {"zoo": 2}, homeless=0)


def test_the_name_of_a_dataset_is_not_that_of_one_that_begins_with_it(reviews: Reviews) -> None:
    reviews.add([label_error(1), label_error(2, dataset="pets_2@1"), label_error(3, dataset="petsx2@1")])
    for _ in range(3):
        give(reviews, ANN, CAT)

    assert [item.dataset for item in reviews.answered("pets_2")] == ["pets_2@1"]
