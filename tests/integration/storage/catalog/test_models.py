"""Published models and their aliases."""

import pytest
from sqlalchemy import delete

from contract.access import DEFAULT_PROJECT
from contract.catalog import Alias, Model, ModelVersion, Traffic
from contract.errors import Conflict, Invalid, NotFound
from contract.references import Reference
from services.storage.catalog.models import Models
from services.storage.database import Database
from services.storage.jobs.jobs import JobFilter, Jobs
from services.storage.tables import model_versions
from tests.examples import MODEL_MANIFEST, PREDICT_REQUEST, WHEN
from tests.integration.storage.steps import publish_model, together
from tests.support.clock import FakeClock

FIRST, SECOND = Reference(name="cnn", version=1), Reference(name="cnn", version=2)
PRODUCTION = Reference(name="cnn", alias="production")


@pytest.fixture
def models(database: Database) -> Models:
    """The models table with two versions of `cnn`."""
    for _ in range(2):
        publish_model(database, "cnn")
    return Models(database, DEFAULT_PROJECT)


def test_a_version_shows_its_origin(database: Database, models: Models) -> None:
    newest, first = Jobs(database, DEFAULT_PROJECT).list(JobFilter(), 10).items
    models.set_alias("cnn", "production", 2)

    version = models.get(SECOND)

    shown = set(ModelVersion.model_fields) & set(MODEL_MANIFEST.model_dump())
    assert version == ModelVersion(
        name="cnn",
        version=2,
        job=newest.id,
        created_at=WHEN,
        aliases=("production",),
        trained_on="cpu",
        provider=None,
        **MODEL_MANIFEST.model_dump(include=shown),
    )
    assert (models.get(FIRST).job, models.get(FIRST).aliases) == (first.id, ())


def test_an_alias_points_at_a_version_until_it_is_moved(models: Models, clock: FakeClock) -> None:
    # given
    assert models.set_alias("cnn", "production", 1) == Alias(
        alias="production", version=1, versions={1: 100}, shadow=None, updated_at=WHEN
    )
    assert models.manifest(PRODUCTION) == (FIRST, MODEL_MANIFEST)
    clock.tick(60)

    # when
    moved = models.set_alias("cnn", "production", 2)

    # then
    assert models.manifest(PRODUCTION) == (SECOND, MODEL_MANIFEST)
    assert models.named("cnn") == Model(name="cnn", versions=(2, 1), rejected=(), aliases=(moved,), created_at=WHEN)
    assert moved.updated_at == clock.now


def test_a_pinned_variant_serves_until_it_is_unpinned(models: Models) -> None:
    assert (models.get(SECOND).serving, models.get(SECOND).pinned) == ("fp32", None)

    pinned = models.pin_variant(SECOND, "int8")

    assert (pinned.serving, pinned.pinned) == ("int8", "int8")
    assert models.manifest(SECOND)[1].serving == "int8"
    assert models.route(Reference(name="cnn")).shares[0].manifest.serving == "int8"
    assert models.manifest(FIRST)[1].serving == "fp32"  # the other version keeps its own
    with pytest.raises(Conflict, match="int8 pinned"):
        models.unpin_variant(SECOND, "fp32")
    assert models.unpin_variant(SECOND, "int8").pinned is None
    assert models.unpin_variant(SECOND, "int8").pinned is None  # again changes nothing


def test_a_quarantined_version_does_not_serve_until_a_person_lifts_it(models: Models) -> None:
    models.quarantine(SECOND, "three runs took too long")

    version = models.get(SECOND)
    assert (version.status, version.reason) == ("quarantined", "three runs took too long")
    assert models.manifest(SECOND)[1].quarantined == models.quarantined(SECOND) == "three runs took too long"
    for reference in (SECOND, Reference(name="cnn")):
        with pytest.raises(Conflict, match="cnn@2 is quarantined: three runs took too long"):
            models.route(reference)
    assert models.route(FIRST).shares[0].reference == FIRST

    for _ in range(2):  # again changes nothing
        assert models.lift_quarantine(SECOND).status == "ready"
    assert models.quarantined(SECOND) is None
    assert models.route(SECOND).shares[0].manifest == models.manifest(SECOND)[1] == MODEL_MANIFEST


def test_an_alias_leaves_out_quarantined_versions(models: Models) -> None:
    models.split_alias("cnn", "production", Traffic(versions={1: 90, 2: 10}, shadow=2))
    models.quarantine(SECOND, "slow")

    route = models.route(PRODUCTION)
    assert [share.reference for share in route.shares] == [FIRST]
    assert route.shadow is None

    models.quarantine(FIRST, "slow")
    with pytest.raises(Conflict, match="cnn@1 is quarantined"):
        models.route(PRODUCTION)


def test_a_version_that_was_deleted_meanwhile_is_not_quarantined(models: Models) -> None:
    models.quarantine(Reference(name="cnn", version=9), "slow")

    with pytest.raises(NotFound):
        models.lift_quarantine(Reference(name="cnn", version=9))


def test_a_pinned_variant_serves_behind_an_alias_and_as_its_shadow(models: Models) -> None:
    models.split_alias("cnn", "production", Traffic(versions={2: 100}, shadow=1))
    for version in (FIRST, SECOND):
        models.pin_variant(version, "int8")

    route = models.route(PRODUCTION)

    assert route.shadow is not None
    assert [share.manifest.serving for share in (*route.shares, route.shadow)] == ["int8", "int8"]


def test_a_variant_that_a_version_lacks_cannot_be_pinned(models: Models) -> None:
    with pytest.raises(NotFound, match="no variant fp16; it has fp32, int8"):
        models.pin_variant(SECOND, "fp16")


def test_a_deleted_alias_is_not_found(models: Models) -> None:
    models.set_alias("cnn", "production", 1)

    models.delete_alias("cnn", "production")

    for look in (models.get, models.manifest):
        with pytest.raises(NotFound, match="cnn@production"):
            look(PRODUCTION)
    with pytest.raises(NotFound):
        models.delete_alias("cnn", "production")


@pytest.mark.parametrize(("model", "version"), [("cnn", 3), ("none", 1)])
def test_an_alias_cannot_point_at_a_missing_version(models: Models, model: str, version: int) -> None:
    with pytest.raises(NotFound):
        models.set_alias(model, "production", version)


@pytest.mark.parametrize("alias", ["1", "007"])
def test_an_alias_that_looks_like_a_version_is_rejected(models: Models, alias: str) -> None:
    with pytest.raises(Invalid):
        models.set_alias("cnn", alias, 2)


def test_aliases_belong_to_one_model(database: Database, models: Models) -> None:
    publish_model(database, "other")
    models.set_alias("cnn", "production", 2)
    models.set_alias("other", "production", 1)

    models.delete_alias("other", "production")

    assert models.manifest(PRODUCTION)[0] == SECOND


def test_an_alias_set_concurrently_points_at_one_of_the_versions(models: Models) -> None:
    def promote(index: int) -> int | None:
        try:
            return models.set_alias("cnn", "production", 1 + index % 2).version
        except Conflict:
            return None

    promoted = together(8, promote)

    (alias,) = models.named("cnn").aliases
    assert alias.version in promoted


def test_a_version_with_an_alias_cannot_be_deleted(models: Models) -> None:
    # given
    models.set_alias("cnn", "production", 1)

    # when
    for reference in (FIRST, PRODUCTION):
        with pytest.raises(Conflict, match="production"):
            models.delete(reference)

    # then
    assert models.named("cnn").versions == (2, 1)

    # and when the alias has moved
    models.set_alias("cnn", "production", 2)
    models.delete(FIRST)
    assert models.named("cnn").versions == (2,)


def test_a_version_that_a_batch_prediction_uses_cannot_be_deleted(database: Database, models: Models) -> None:
    spec = PREDICT_REQUEST.spec.model_copy(update={"model": "cnn@1"})
    job = Jobs(database, DEFAULT_PROJECT).create(PREDICT_REQUEST.model_copy(update={"spec": spec}))
    models.delete(SECOND)
    with pytest.raises(Conflict, match="a job that has not ended uses"):
        models.delete(FIRST)

    Jobs(database, DEFAULT_PROJECT).cancel(job.id)

    models.delete(FIRST)
    with pytest.raises(NotFound):
        models.get(FIRST)


def test_the_database_does_not_delete_the_version_of_an_alias(database: Database, models: Models) -> None:
    models.set_alias("cnn", "production", 1)

    with pytest.raises(Conflict), database.write() as connection:
        connection.execute(delete(model_versions))

    assert models.manifest(PRODUCTION)[0] == FIRST


def test_the_provider_of_the_last_load_is_shown(models: Models) -> None:
    models.note_provider("cnn", 2, "CUDAExecutionProvider")

    assert (models.get(FIRST).provider, models.get(SECOND).provider) == (None, "CUDAExecutionProvider")
