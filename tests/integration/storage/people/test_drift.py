"""The counts of model versions in the database, and what follows from them."""

from datetime import date, timedelta

import pytest
from prometheus_client import REGISTRY
from pydantic import ValidationError
from sqlalchemy import select, update

from contract.access import DEFAULT_PROJECT
from contract.artifacts import Bucket, ObjectRef
from contract.catalog import Traffic
from contract.drift import DriftCounts, DriftReference
from contract.errors import Conflict, NotFound
from contract.projects import NewProjectRequest
from contract.references import Reference
from contract.reviews import NewReview, ReviewAnswer
from services.storage.database import Database
from services.storage.memory_objects import MemoryObjects
from services.storage.people.drift import Drift
from services.storage.people.rows import Reviewer
from services.storage.stores import ProjectStores, Stores
from services.storage.sweep.drift import show_drift
from services.storage.sweep.retention import KEEP_DRIFT, RetentionSweep
from services.storage.tables import drift_counts
from tests.examples import MODEL_MANIFEST, TRAIN_REQUEST
from tests.integration.storage.steps import DAY_S, together
from tests.support.clock import FakeClock
from tests.support.publication import publish

BRIGHT, DARK = (*[0] * 19, 1000), (1000, *[0] * 19)
PERSON = Reviewer("key-1", "Ada")
REFERENCE = DriftReference(
    classes={"cat": 500, "dog": 500},
    confidence=(*[0] * 19, 1000),
    confidence_sum=900.0,
    brightness=BRIGHT,
    accuracy=0.875,
)


def counts(
    images: int = 1000, brightness: tuple[int, ...] = BRIGHT, cats: float = 0.5, score: float = 0.75
) -> DriftCounts:
    """What a version counts of this many images."""
    return DriftCounts(
        classes={"cat": round(images * cats), "dog": images - round(images * cats)},
        confidence=(*[0] * 19, images),
        confidence_sum=images * score,
        brightness=tuple(images * value // 1000 for value in brightness),
    )


@pytest.fixture
def stores(database: Database) -> Stores:
    return Stores(database, MemoryObjects())


@pytest.fixture
def own(stores: Stores) -> ProjectStores:
    """The default project, with version 1 of pet-cnn in production."""
    train(stores)
    own = stores.of(DEFAULT_PROJECT)
    own.models.split_alias("pet-cnn", "production", Traffic(versions={1: 100}))
    return own


def train(stores: Stores, reference: DriftReference | None = REFERENCE, project: str = DEFAULT_PROJECT) -> None:
    publish(stores, TRAIN_REQUEST, MODEL_MANIFEST.model_copy(update={"drift_reference": reference}), project)


def today(own: ProjectStores) -> date:
    return own.database.now().date()


def stored(database: Database) -> list[tuple[str, date]]:
    with database.read() as connection:
        return [
            (project, day) for project, day in connection.execute(select(drift_counts.c.project, drift_counts.c.day))
        ]


def review(own: ProjectStores, guess: str, label: str | None, source: str = "random", version: int = 1) -> None:
    """Add a sample that the model took for `guess`, and decide that it is `label`, or no class at all."""
    digest = f"{len(own.reviews.answered()):064x}"
    file = ObjectRef(bucket=Bucket.JOBS, key=f"{source}/{digest}", size=1, sha256=digest)
    item = {"source": source, "sha256": digest, "model": "pet-cnn", "model_version": version, "file": file}
    own.reviews.add([NewReview.model_validate(item | {"guess": ((guess, 0.9),)})])
    (leased,) = own.reviews.batch(PERSON).items
    own.reviews.answer(leased.id, leased.lease, PERSON, ReviewAnswer(label=label, not_any=label is None))


def test_counts_add_up_from_all_replicas(own: ProjectStores) -> None:
    def add(_: int) -> None:
        while True:
            try:
                own.drift.add("pet-cnn", 1, today(own), counts(10))
            except Conflict:
                continue
            return

    together(4, add)

    (day,) = own.drift.of_alias("pet-cnn", "production").days
    assert (day.day, day.predictions) == (today(own), 40)


def test_counts_of_an_unknown_version_are_refused(own: ProjectStores, stores: Stores) -> None:
    with pytest.raises(NotFound):
        own.drift.add("pet-cnn", 2, today(own), counts())
    with pytest.raises(NotFound):
        stores.of("lab").drift.add("pet-cnn", 1, today(own), counts())
    with pytest.raises(NotFound):
        own.drift.of_alias("pet-cnn", "staging")


def test_requests_like_the_validation_images_raise_no_alarm(own: ProjectStores) -> None:
    own.drift.add("pet-cnn", 1, today(own), counts())

    drift = own.drift.of_alias("pet-cnn", "production")

    assert (drift.state, drift.versions, drift.without_reference) == ("steady", (1,), ())
    assert (drift.predictions, drift.since, [day.alarm for day in drift.days]) == (1000, today(own), [False])
    assert own.drift.alarms() == ()


def test_requests_that_have_changed_raise_an_alarm_until_they_are_as_before(
    own: ProjectStores, clock: FakeClock
) -> None:
    own.drift.add("pet-cnn", 1, today(own), counts())
    clock.tick(DAY_S)
    own.drift.add("pet-cnn", 1, today(own), counts(brightness=DARK, cats=0.9))

    drift = own.drift.of_alias("pet-cnn", "production")
    (alarm,) = own.drift.alarms()
    assert own.drift.alarms("pet-cnn", "production") == (alarm,)
    assert own.drift.alarms("pet-cnn", "staging") == own.drift.alarms("birds", "production") == ()

    assert drift.state == "alarm"
    assert drift.reason == alarm.reason
    assert "the images are darker" in drift.reason
    assert "'cat' is 90.0 % of the answers instead of 50.0 %" in drift.reason
    assert [day.alarm for day in drift.days] == [False, True]
    assert (alarm.model, alarm.alias, alarm.since) == ("pet-cnn", "production", today(own))
    assert alarm.statistics == ("classes", "brightness")

    clock.tick(DAY_S)
    own.drift.add("pet-cnn", 1, today(own), counts())
    assert own.drift.alarms() == ()
    assert [day.alarm for day in own.drift.of_alias("pet-cnn", "production").days] == [False, True, False]


def test_the_versions_of_an_alias_are_judged_together(own: ProjectStores, stores: Stores) -> None:
    train(stores, None)
    own.models.split_alias("pet-cnn", "production", Traffic(versions={1: 50, 2: 50}))
    own.drift.add("pet-cnn", 1, today(own), counts())
    own.drift.add("pet-cnn", 2, today(own), counts(brightness=DARK))  # has no reference

    drift = own.drift.of_alias("pet-cnn", "production")

    assert (drift.state, drift.predictions, drift.without_reference) == ("steady", 2000, ("pet-cnn@2",))


def test_a_model_of_an_older_release_has_no_reference(own: ProjectStores, stores: Stores) -> None:
    train(stores, None)
    own.models.split_alias("pet-cnn", "production", Traffic(versions={2: 100}))
    own.drift.add("pet-cnn", 2, today(own), counts())

    drift = own.drift.of_alias("pet-cnn", "production")

    assert (drift.state, drift.differences, drift.estimated) == ("no_reference", (), None)
    assert "pet-cnn@2 has no statistics of validation images; train the model again" in drift.reason
    assert [day.predictions for day in drift.days] == [1000]
    assert own.drift.alarms() == ()


def test_alarms_read_counts_of_versions_with_an_alias_only(own: ProjectStores, stores: Stores) -> None:
    train(stores)
    own.drift.add("pet-cnn", 1, today(own), counts(brightness=DARK))
    own.drift.add("pet-cnn", 2, today(own), counts())
    own.models.split_alias("pet-cnn", "production", Traffic(versions={2: 100}))
    with own.database.write() as connection:
        damaged = update(drift_counts).where(drift_counts.c.version == 1).values(counts={"confidence": "?"})
        connection.execute(damaged)

    assert own.drift.alarms() == own.drift.alarms("pet-cnn", "production") == ()

    own.models.split_alias("pet-cnn", "staging", Traffic(versions={1: 100}))
    with pytest.raises(ValidationError):
        own.drift.alarms()


def test_a_few_predictions_are_not_judged(own: ProjectStores) -> None:
    own.drift.add("pet-cnn", 1, today(own), counts(20, brightness=DARK))

    drift = own.drift.of_alias("pet-cnn", "production")

    assert (drift.state, drift.predictions) == ("too_few", 20)
    assert drift.reason == "20 predictions in the last 14 days are too few to compare; 100 are needed"


def test_the_accuracy_is_estimated_and_measured_on_the_random_sample(own: ProjectStores, clock: FakeClock) -> None:
    own.drift.add("pet-cnn", 1, today(own), counts())
    review(own, "cat", "cat")
    review(own, "cat", "dog")
    review(own, "cat", "dog", source="margin")  # chosen because it is doubtful
    review(own, "cat", "dog", version=2)
    clock.tick(DAY_S)
    own.drift.add("pet-cnn", 1, today(own), counts())
    review(own, "dog", None)

    drift = own.drift.of_alias("pet-cnn", "production")

    assert drift.estimated is not None
    assert (drift.estimated.estimate, drift.estimated.on_validation) == (0.75, 0.9)
    assert drift.estimated.validation_accuracy == 0.875
    assert drift.reviewed is not None
    assert (drift.reviewed.reviewed, drift.reviewed.right) == (3, 1)
    assert drift.reviewed.interval == pytest.approx((0.0615, 0.7923), abs=1e-3)  # Wilson
    assert [day.reviewed and day.reviewed.right for day in drift.days] == [1, 0]
    assert own.drift.of_alias("pet-cnn", "production", days=1).reviewed == drift.days[1].reviewed


def test_counts_go_with_their_version_and_with_their_project(own: ProjectStores, stores: Stores) -> None:
    # given counts of a version that is deleted, and of a project with the same model that is not
    stores.projects.create(NewProjectRequest(name="lab"))
    train(stores, project="lab")
    lab = stores.of("lab")
    for one in (own, lab):
        one.drift.add("pet-cnn", 1, today(own), counts())

    own.models.delete_alias("pet-cnn", "production")
    own.models.delete(Reference(name="pet-cnn", version=1))

    assert stored(own.database) == [("lab", today(own))]


def test_old_counts_are_deleted(own: ProjectStores, database: Database) -> None:
    own.drift.add("pet-cnn", 1, today(own), counts())
    own.drift.add("pet-cnn", 1, today(own) - KEEP_DRIFT - timedelta(days=1), counts())

    RetentionSweep(database, timedelta(days=30)).apply()

    assert stored(database) == [(DEFAULT_PROJECT, today(own))]


def test_alarms_are_a_metric_of_all_projects(own: ProjectStores, stores: Stores, database: Database) -> None:
    def shown(model: str) -> float | None:
        return REGISTRY.get_sample_value("tidepool_drift_alarm", {"model": model, "alias": "production"})

    stores.projects.create(NewProjectRequest(name="lab"))
    train(stores, project="lab")
    lab = stores.of("lab")
    lab.models.split_alias("pet-cnn", "production", Traffic(versions={1: 100}))
    lab.drift.add("pet-cnn", 1, today(own), counts(brightness=DARK))
    own.drift.add("pet-cnn", 1, today(own), counts())

    alarms = show_drift(database, set())
    assert (alarms, shown("lab/pet-cnn"), shown("pet-cnn")) == ({("lab/pet-cnn", "production")}, 1, None)

    lab.models.delete_alias("pet-cnn", "production")
    assert show_drift(database, alarms) == set()
    assert shown("lab/pet-cnn") is None


def test_a_project_whose_drift_cannot_be_read_keeps_its_alarms(
    own: ProjectStores, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    own.drift.add("pet-cnn", 1, today(own), counts(brightness=DARK))
    alarms = show_drift(database, set())
    assert alarms == {("pet-cnn", "production")}

    def broken(*_: object) -> None:
        raise ValueError

    monkeypatch.setattr(Drift, "alarms", broken)

    assert show_drift(database, alarms) == alarms
