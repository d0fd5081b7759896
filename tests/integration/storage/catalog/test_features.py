"""Cached features of a dataset."""

from contract.access import DEFAULT_PROJECT
from contract.artifacts import Bucket, ObjectRef
from contract.references import Reference
from contract.training import FeatureFile
from services.storage.catalog.datasets import Datasets
from services.storage.catalog.features import keep_features
from services.storage.database import Database
from services.storage.tables import object_references
from tests.integration.storage.steps import publish_dataset


def cached(name: str, key: str = "lite0") -> FeatureFile:
    return FeatureFile(key=key, file=ObjectRef(bucket=Bucket.JOBS, key=name, size=1, sha256="0" * 64))


def keep(database: Database, features: FeatureFile) -> None:
    with database.write() as connection:
        keep_features(connection, DEFAULT_PROJECT, "pets", features, database.now())


def referenced(database: Database) -> set[str]:
    with database.read() as connection:
        rows = connection.execute(object_references.select().where(object_references.c.owner_kind == "features"))
        return {row.key for row in rows}


def test_the_newest_file_of_a_key_replaces_the_older(database: Database, datasets: Datasets) -> None:
    publish_dataset(database, "pets")

    for features in (cached("old"), cached("new"), cached("other", key="mine")):
        keep(database, features)

    assert datasets.features("pets", "lite0") == cached("new").file
    assert datasets.features("pets", "unknown") is None
    assert referenced(database) == {"new", "other"}


def test_features_are_forgotten_with_the_last_version(database: Database, datasets: Datasets) -> None:
    publish_dataset(database, "pets")
    publish_dataset(database, "pets")
    keep(database, cached("file"))

    datasets.delete(Reference.parse("pets@1"))
    assert referenced(database) == {"file"}

    datasets.delete(Reference.parse("pets@2"))
    assert referenced(database) == set()
    assert datasets.features("pets", "lite0") is None
