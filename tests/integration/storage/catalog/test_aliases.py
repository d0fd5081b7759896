"""Aliases that split requests among several versions, and routes."""

import pytest
from sqlalchemy import delete

from contract.access import DEFAULT_PROJECT
from contract.catalog import Traffic
from contract.errors import Conflict, Invalid, NotFound
from contract.references import Reference
from services.storage.catalog.models import Models, text_of, traffic_of
from services.storage.catalog.routes import Route, Share
from services.storage.database import Database
from services.storage.tables import model_versions
from tests.examples import MODEL_MANIFEST
from tests.integration.storage.steps import publish_model, together
from tests.support.clock import FakeClock

LIVE = Reference(name="cnn", alias="live")
SPLIT = Traffic(versions={1: 10, 2: 90}, shadow=3)


@pytest.fixture
def models(database: Database) -> Models:
    """The models table with four versions of `cnn`."""
    for _ in range(4):
        publish_model(database, "cnn")
    return Models(database, DEFAULT_PROJECT)


def share(version: int, weight: int = 100) -> Share:
    return Share(Reference(name="cnn", version=version), MODEL_MANIFEST, weight)


def test_one_read_returns_the_route(models: Models) -> None:
    models.split_alias("cnn", "live", SPLIT)

    assert models.route(LIVE) == Route((share(2, 90), share(1, 10)), share(3))
    assert models.route(Reference(name="cnn")) == Route((share(4),))
    assert models.route(Reference(name="cnn", version=1)) == Route((share(1),))


def test_a_plain_alias_is_a_route_with_one_share(models: Models) -> None:
    models.set_alias("cnn", "live", 2)

    assert models.route(LIVE) == Route((share(2),))


@pytest.mark.parametrize("reference", [LIVE, Reference(name="cnn", version=9), Reference(name="none")], ids=str)
def test_there_is_no_route_to_a_missing_reference(models: Models, reference: Reference) -> None:
    with pytest.raises(NotFound):
        models.route(reference)


@pytest.mark.parametrize(("versions", "main"), [({1: 10, 2: 90}, 2), ({1: 50, 3: 50}, 3)])
def test_a_split_alias_resolves_to_its_largest_share(models: Models, versions: dict[int, int], main: int) -> None:
    models.split_alias("cnn", "live", Traffic(versions=versions))

    assert models.manifest(LIVE)[0].version == main
    assert models.named("cnn").aliases[0].version == main


def test_an_alias_shows_its_traffic_until_it_is_replaced(models: Models, clock: FakeClock) -> None:
    # given
    split = models.split_alias("cnn", "live", SPLIT)
    assert models.named("cnn").aliases == (split,)
    assert (split.version, split.versions, split.shadow) == (2, {1: 10, 2: 90}, 3)
    clock.tick(60)

    # when
    moved = models.set_alias("cnn", "live", 4)

    # then
    assert models.named("cnn").aliases == (moved,)
    assert (moved.versions, moved.shadow, moved.updated_at) == ({4: 100}, None, clock.now)


@pytest.mark.parametrize("traffic", [{"versions": {1: 90, 9: 10}}, {"versions": {1: 100}, "shadow": 9}], ids=str)
def test_traffic_to_a_missing_version_changes_nothing(models: Models, traffic: dict[str, object]) -> None:
    before = models.split_alias("cnn", "live", SPLIT)

    with pytest.raises(NotFound, match="cnn@9"):
        models.split_alias("cnn", "live", Traffic.model_validate(traffic))

    assert models.named("cnn").aliases == (before,)


def test_a_split_alias_that_looks_like_a_version_is_rejected(models: Models) -> None:
    with pytest.raises(Invalid):
        models.split_alias("cnn", "7", SPLIT)


@pytest.mark.parametrize("version", [1, 2, 3])
def test_a_version_with_traffic_or_shadow_traffic_cannot_be_deleted(models: Models, version: int) -> None:
    reference = Reference(name="cnn", version=version)
    models.split_alias("cnn", "live", SPLIT)
    assert models.get(reference).aliases == ("live",)

    with pytest.raises(Conflict, match="live"):
        models.delete(reference)

    models.delete_alias("cnn", "live")
    models.delete(reference)
    assert version not in models.named("cnn").versions


@pytest.mark.parametrize("version", [1, 2, 3])
def test_the_database_does_not_delete_a_version_with_traffic(database: Database, models: Models, version: int) -> None:
    models.split_alias("cnn", "live", SPLIT)

    with pytest.raises(Conflict), database.write() as connection:
        connection.execute(delete(model_versions).where(model_versions.c.version == version))

    assert models.route(LIVE).shadow == share(3)


def test_concurrent_splits_never_mix(models: Models) -> None:
    models.set_alias("cnn", "live", 1)

    def split(index: int) -> Traffic:
        traffic = Traffic(versions={1 + index % 4: 60, 1 + (index + 1) % 4: 40}, shadow=1 + index % 4)
        models.split_alias("cnn", "live", traffic)
        return traffic

    requested = together(8, split)

    (alias,) = models.named("cnn").aliases
    assert Traffic(versions=alias.versions, shadow=alias.shadow) in requested


@pytest.mark.parametrize(
    "traffic",
    [Traffic(versions={3: 100}), Traffic(versions={12: 100}, shadow=4), Traffic(versions={1: 90, 2: 10}, shadow=3)],
)
def test_the_text_of_a_promotion_in_the_audit_trail_can_be_read_again(traffic: Traffic) -> None:
    assert traffic_of(text_of(traffic)) == traffic


@pytest.mark.parametrize("text", ["", "version 0", "versions 1: 90 %", "versions 1: 90 %, 2: 1", "quarantine lifted"])
def test_a_text_that_was_cut_off_is_no_traffic(text: str) -> None:
    assert traffic_of(text) is None
