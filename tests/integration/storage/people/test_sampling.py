"""The sampling of an alias, and the counters by which gateways share its daily budget."""

from datetime import timedelta

import pytest

from contract.access import DEFAULT_PROJECT
from contract.artifacts import Bucket, ObjectRef
from contract.errors import NotFound
from contract.references import Reference
from contract.reviews import NewReview
from contract.sampling import ReviewSampling, SampledToday, SamplingMix
from services.storage.access.audit import Actor, AuditFilter
from services.storage.database import Database
from services.storage.memory_objects import MemoryObjects
from services.storage.people.sampling import Sampling
from services.storage.people.sampling_counts import Budgets, SamplingCounts
from services.storage.stores import ProjectStores, Stores
from tests.integration.storage.steps import publish_model, together
from tests.support.clock import FakeClock

SETTINGS = ReviewSampling(rate_per_day=10, mix=SamplingMix(margin=0.5, random=0.5, disagreement=0))
FIVE = Budgets(5, None)


@pytest.fixture
def stores(database: Database) -> ProjectStores:
    """A project whose model `cnn` answers as `live`."""
    publish_model(database, "cnn")
    actor = Actor("0123abcd", "laptop", "a-request", DEFAULT_PROJECT)
    stores = Stores(database, MemoryObjects()).of(DEFAULT_PROJECT, actor=actor)
    stores.models.set_alias("cnn", "live", 1)
    return stores


@pytest.fixture
def sampling(stores: ProjectStores) -> Sampling:
    return stores.sampling


@pytest.fixture
def counts(stores: ProjectStores) -> SamplingCounts:
    return stores.sampling_counts("cnn", "live")


def sample(sha256: str, source: str = "margin", size: int = 1000) -> NewReview:
    file = ObjectRef(bucket=Bucket.UPLOADS, key=f"default/reviews/{sha256}{source}", size=size, sha256=sha256)
    return NewReview.model_validate(
        {"source": source, "sha256": sha256, "model": "cnn", "alias": "live", "model_version": 1, "file": file}
    )


def test_sampling_is_off_until_it_is_turned_on(stores: ProjectStores, sampling: Sampling) -> None:
    with pytest.raises(NotFound, match="PUT turns it on"):
        sampling.get("cnn", "live")
    route = stores.models.route(Reference(name="cnn", alias="live"))
    assert not sampling.is_on("cnn", "live")

    shown = sampling.set("cnn", "live", SETTINGS)

    assert route.sampling is None
    assert sampling.is_on("cnn", "live")
    assert ReviewSampling(**{field: getattr(shown, field) for field in ReviewSampling.model_fields}) == SETTINGS
    assert stores.models.route(Reference(name="cnn", alias="live")).sampling == SETTINGS
    assert stores.models.route(Reference(name="cnn", version=1)).sampling is None
    assert stores.models.named("cnn").aliases[0].review == SETTINGS
    assert stores.models.set_alias("cnn", "live", 1).review == SETTINGS


def test_changes_are_audited_and_keep_the_time_of_the_first(
    stores: ProjectStores, sampling: Sampling, clock: FakeClock
) -> None:
    first = sampling.set("cnn", "live", SETTINGS)
    clock.tick(60)
    second = sampling.set("cnn", "live", ReviewSampling())
    sampling.stop("cnn", "live")

    assert second.created_at == first.created_at < second.updated_at
    entries = stores.audit.list(AuditFilter(subject="models/cnn@live"), 3).items
    assert [entry.detail for entry in entries] == [
        "reviews off",
        "reviews of 200 images a day: margin 0.7, random 0.2, disagreement 0.1; kept 30 days",
        "reviews of 10 images a day: margin 0.5, random 0.5, disagreement 0; kept 30 days",
    ]


def test_a_missing_alias_and_sampling_that_is_off_are_not_found(stores: ProjectStores, sampling: Sampling) -> None:
    for change in (lambda: sampling.set("cnn", "none", SETTINGS), lambda: sampling.stop("cnn", "none")):
        with pytest.raises(NotFound, match="the model cnn has no alias none"):
            change()
    with pytest.raises(NotFound, match="is off"):
        sampling.stop("cnn", "live")

    # and another project sees none of it
    sampling.set("cnn", "live", SETTINGS)
    with pytest.raises(NotFound):
        Sampling(stores.database, "lab").get("cnn", "live")


def test_the_sampling_and_the_counters_go_with_the_alias(
    stores: ProjectStores, sampling: Sampling, counts: SamplingCounts
) -> None:
    sampling.set("cnn", "live", SETTINGS)
    counts.sync({"seen": 3})

    stores.models.delete_alias("cnn", "live")
    stores.models.set_alias("cnn", "live", 1)

    assert stores.models.named("cnn").aliases[0].review is None
    assert counts.sync({}).today == {}


def test_a_day_has_a_budget_for_each_source_and_class(sampling: Sampling, counts: SamplingCounts) -> None:
    sampling.set("cnn", "live", SETTINGS)

    cats = [counts.reserve("margin", "cat", Budgets(5, 3), counts.today()) for _ in range(4)]
    dogs = [counts.reserve("margin", "dog", Budgets(5, 3), counts.today()) for _ in range(3)]

    assert (cats, dogs) == (["", "", "", "class"], ["", "", "budget"])
    assert counts.reserve("random", "cat", FIVE, counts.today()) == ""
    assert counts.reserve("disagreement", "cat", Budgets(0, None), counts.today()) == "budget"
    assert sampling.get("cnn", "live").today == SampledToday(margin=5, random=1)


def test_a_reservation_can_be_given_back(counts: SamplingCounts) -> None:
    assert [counts.reserve("margin", "cat", Budgets(1, 1), counts.today()) for _ in range(2)] == ["", "budget"]

    counts.give_back("margin", "cat", counts.today())

    assert counts.reserve("margin", "cat", Budgets(1, 1), counts.today()) == ""


def test_a_reservation_of_yesterday_is_given_back_to_yesterday(counts: SamplingCounts, clock: FakeClock) -> None:
    yesterday = counts.today()
    counts.reserve("margin", "cat", Budgets(5, 5), yesterday)
    clock.tick(timedelta(days=1).total_seconds())
    counts.reserve("margin", "cat", Budgets(5, 5), counts.today())

    counts.give_back("margin", "cat", yesterday)

    counted = counts.sync({})
    assert (counted.today, counted.yesterday) == ({"margin": 1}, {"margin": 0})


def test_gateways_that_reserve_at_the_same_time_never_exceed_the_budget(counts: SamplingCounts) -> None:
    reserved = together(12, lambda _: counts.reserve("margin", "cat", Budgets(5, 5), counts.today()))

    assert sorted(reserved) == [""] * 5 + ["budget"] * 7


def test_the_next_day_has_a_budget_of_its_own(counts: SamplingCounts, clock: FakeClock) -> None:
    counts.sync({"seen": 100, "disagreed": 4})
    counts.reserve("random", "cat", Budgets(1, None), counts.today())

    clock.tick(timedelta(days=1).total_seconds())

    assert counts.reserve("random", "cat", Budgets(1, None), counts.today()) == ""
    counted = counts.sync({"seen": 7})
    assert counted.today == {"seen": 7, "random": 1}
    assert counted.yesterday == {"seen": 100, "disagreed": 4, "random": 1}
    clock.tick(timedelta(days=20).total_seconds())
    assert counts.sync({}).yesterday == {}


def test_the_bytes_of_stored_copies_are_counted(
    stores: ProjectStores, sampling: Sampling, counts: SamplingCounts
) -> None:
    sampling.set("cnn", "live", SETTINGS)
    stores.reviews.add([sample("1" * 64), sample("2" * 64, size=500)])

    assert counts.sync({}).stored_bytes == sampling.get("cnn", "live").stored_bytes == 1500
    assert counts.sync({}, measure=False).stored_bytes is None


def test_an_image_is_known_once_the_queue_has_had_it(stores: ProjectStores, counts: SamplingCounts) -> None:
    stores.reviews.add([sample("1" * 64)])

    assert counts.known("disagreement", "1" * 64, 1)
    assert not counts.known("margin", "2" * 64, 1)
    other = Stores(stores.database, MemoryObjects()).of("lab").sampling_counts("cnn", "live")
    assert not other.known("margin", "1" * 64, 1)


def test_an_image_that_is_drawn_at_random_later_becomes_part_of_the_random_slice(
    stores: ProjectStores, counts: SamplingCounts
) -> None:
    stores.reviews.add([sample("1" * 64)])

    assert counts.known("random", "1" * 64, 1)
    assert stores.reviews.progress().by_source == {"random": {"open": 1}}
    assert counts.known("margin", "1" * 64, 1)
    assert stores.reviews.progress().by_source == {"random": {"open": 1}}


def test_an_image_is_drawn_at_random_for_each_version_of_a_model(stores: ProjectStores, counts: SamplingCounts) -> None:
    stores.reviews.add([sample("1" * 64, "random"), sample("2" * 64)])

    assert [counts.known("random", number * 64, 2) for number in "12"] == [False, False]
    assert [counts.known("margin", number * 64, 2) for number in "12"] == [True, True]
    assert stores.reviews.progress().by_source == {"random": {"open": 1}, "margin": {"open": 1}}
