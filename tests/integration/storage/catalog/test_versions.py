"""What datasets and models have in common: version numbers and references."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from contract.access import DEFAULT_PROJECT
from contract.errors import NotFound
from contract.jobs import JobKind
from contract.references import Reference
from services.storage.catalog.datasets import Datasets
from services.storage.catalog.models import Models
from services.storage.database import Database
from services.storage.jobs.jobs import Jobs
from services.storage.jobs.leases import Leases
from tests.examples import DATASET_MANIFEST, MODEL_MANIFEST, PREPROCESS_REQUEST, TRAIN_REQUEST
from tests.integration.storage.steps import claimed, publish_dataset, publish_model, together


@dataclass(frozen=True)
class Shelf:
    """Datasets or models: how to publish a version, and how to read versions."""

    publish: Callable[[str], Reference]
    versions: Datasets | Models

    def resolve(self, text: str) -> str:
        """Resolve a reference to a pinned one."""
        return str(self.versions.manifest(Reference.parse(text))[0])


@pytest.fixture(params=["datasets", "models"])
def shelf(request: pytest.FixtureRequest, database: Database) -> Shelf:
    if request.param == "datasets":
        return Shelf(lambda name: publish_dataset(database, name), Datasets(database, DEFAULT_PROJECT))
    return Shelf(lambda name: publish_model(database, name), Models(database, DEFAULT_PROJECT))


def test_version_numbers_count_up_per_name(shelf: Shelf) -> None:
    published = [str(shelf.publish(name)) for name in ("a", "a", "b", "a")]

    assert published == ["a@1", "a@2", "b@1", "a@3"]
    assert shelf.versions.named("a").versions == (3, 2, 1)


def test_a_bare_name_resolves_to_the_newest_version(shelf: Shelf) -> None:
    for name in ("a", "a", "b"):
        shelf.publish(name)

    assert (shelf.resolve("a"), shelf.resolve("a@1"), shelf.resolve("b")) == ("a@2", "a@1", "b@1")


def test_a_missing_version_is_not_found(shelf: Shelf) -> None:
    shelf.publish("a")

    for text in ("a@2", "a@none", "b", "b@1"):
        for look in (shelf.versions.manifest, shelf.versions.get, shelf.versions.delete):
            with pytest.raises(NotFound):
                look(Reference.parse(text))


def test_the_number_of_a_deleted_version_is_not_reused(shelf: Shelf) -> None:
    # given
    for _ in range(2):
        shelf.publish("a")

    # when the newest and then the last one are deleted
    shelf.versions.delete(Reference.parse("a@2"))
    assert shelf.resolve("a") == "a@1"
    assert str(shelf.publish("a")) == "a@3"
    for version in (1, 3):
        shelf.versions.delete(Reference(name="a", version=version))

    # then the name is not listed, and its numbers are not reused
    with pytest.raises(NotFound):
        shelf.versions.named("a")
    assert shelf.versions.list(10).items == ()
    assert str(shelf.publish("a")) == "a@4"


def test_names_are_listed_in_pages(shelf: Shelf) -> None:
    # given
    for name in ("c", "a", "b", "a"):
        shelf.publish(name)

    # when
    first = shelf.versions.list(2)
    last = shelf.versions.list(2, first.next)

    # then
    assert [item.name for item in first.items] == ["a", "b"]
    assert ([item.name for item in last.items], last.next) == (["c"], None)


def test_concurrent_publications_get_different_numbers(database: Database) -> None:
    # given jobs that are about to publish under the same name
    jobs, leases = Jobs(database, DEFAULT_PROJECT), Leases(database)
    ready = []
    for request, manifest in ((PREPROCESS_REQUEST, DATASET_MANIFEST), (TRAIN_REQUEST, MODEL_MANIFEST)):
        for _ in range(4):
            jobs.create(request)
            ready.append((claimed(leases, request.kind).lease, manifest))

    # when
    done = together(8, lambda index: leases.finish(*ready[index]))

    # then
    published = [
        (job.kind, (job.result or {}).get("dataset" if job.kind == JobKind.PREPROCESS else "model")) for job in done
    ]
    assert sorted(published) == [
        *((JobKind.PREPROCESS, f"pets@{version}") for version in range(1, 5)),
        *((JobKind.TRAIN, f"pet-cnn@{version}") for version in range(1, 5)),
    ]
