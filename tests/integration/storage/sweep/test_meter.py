"""What is stored is counted to the byte, as the object store lists it."""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from contract.access import DEFAULT_PROJECT
from contract.artifacts import Bucket
from contract.projects import NewProjectRequest
from contract.references import Reference
from contract.usage import StorageCategory, StorageUsage, Stored
from services.storage.database import Database
from services.storage.memory_objects import MemoryObjects
from services.storage.objects import S3Objects
from services.storage.settings import ObjectsSettings
from services.storage.stores import Stores
from services.storage.sweep import meter as module
from services.storage.sweep.abandoned import AbandonedUploads
from services.storage.sweep.collector import Collector
from services.storage.sweep.meter import StorageMeter
from tests.examples import WHEN
from tests.integration.storage.filled import Filled, fill
from tests.support.clock import FakeClock

PROJECTS = (DEFAULT_PROJECT, "lab", "shop_1")
YEARS_S = 50 * 365 * 86400.0  # the real store's clock is ahead of the fake one


@pytest.fixture
def objects(s3_settings: ObjectsSettings) -> Iterator[S3Objects]:
    """The embedded object store, with buckets of its own."""
    store = S3Objects(s3_settings.model_copy(update={"bucket_prefix": "meter-"}))
    store.make_buckets()
    for bucket in Bucket:
        store.delete(bucket, "")
    yield store
    for bucket in Bucket:
        store.delete(bucket, "")


@pytest.fixture
def stores(database: Database, objects: S3Objects) -> Stores:
    return Stores(database, objects)


def listed(boto: Any) -> dict[str, Stored]:
    """What another client lists, by project."""
    objects, sizes = Counter[str](), Counter[str]()
    for bucket, depth in (("meter-uploads", 1), ("meter-jobs", 4)):
        for page in boto.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            for item in page.get("Contents", ()):
                parts = item["Key"].split("/")
                project = parts[0] if len(parts) > depth else DEFAULT_PROJECT
                objects[project] += 1
                sizes[project] += item["Size"]
    return {project: Stored(objects=objects[project], bytes=sizes[project]) for project in objects}


def measured(stores: Stores) -> StorageUsage:
    StorageMeter(stores.database, stores.objects).measure()
    return stores.storage.all()


def by_project(usage: StorageUsage) -> dict[str, Stored]:
    return {shown.project: Stored(objects=shown.objects, bytes=shown.bytes) for shown in usage.projects or ()}


def categories(filled: Filled) -> dict[StorageCategory, Stored]:
    return {category: Stored(objects=len(sizes), bytes=sum(sizes)) for category, sizes in filled.sizes.items()}


def test_what_projects_have_is_what_the_store_lists(
    stores: Stores, boto: Any, monkeypatch: pytest.MonkeyPatch, clock: FakeClock
) -> None:
    # given projects that have everything, and more objects than are read at once
    monkeypatch.setattr(module, "BATCH", 7)
    for name in PROJECTS[1:]:
        stores.projects.create(NewProjectRequest(name=name))
    filled = {name: fill(stores, name) for name in PROJECTS}

    # then they are counted by category, as the store lists them
    usage = measured(stores)
    assert by_project(usage) == listed(boto)
    assert (usage.measured_at, usage.bytes) == (WHEN, sum(stored.bytes for stored in listed(boto).values()))
    for name in PROJECTS:
        own = stores.storage.of(name)
        assert own.categories == categories(filled[name])
        assert set(own.categories) == set(StorageCategory) - {StorageCategory.OTHER}
        assert (own.bytes, own.projects) == (by_project(usage)[name].bytes, None)

    # and when one deletes everything that it can, and it is collected
    lab = stores.of("lab")
    lab.models.delete_alias("pet-cnn", "production")
    for model in ("pet-cnn", "pet-vit"):
        lab.models.delete(Reference(name=model, version=1))
    jobs_of_others = by_project(usage)[DEFAULT_PROJECT]
    clock.tick(YEARS_S)
    collected = Collector(stores.database, stores.objects, timedelta()).collect()
    AbandonedUploads(stores.database, stores.objects, timedelta(days=1), timedelta()).collect()

    # then what is left is still what the store lists
    usage = measured(stores)
    assert by_project(usage) == listed(boto)
    left = stores.storage.of("lab").categories
    assert collected > 0
    assert {StorageCategory.MODELS, StorageCategory.WAITING}.isdisjoint(left)
    assert left[StorageCategory.UPLOADS].objects == len(filled["lab"].sizes[StorageCategory.UPLOADS]) - 1
    assert by_project(usage)[DEFAULT_PROJECT].bytes < jobs_of_others.bytes


def test_objects_that_tidepool_did_not_write_are_others(database: Database) -> None:
    stores = Stores(database, MemoryObjects())
    stores.objects.put(Bucket.JOBS, "lost+found/x", b"four")
    stores.objects.put(Bucket.UPLOADS, "x", b"12345")

    usage = measured(stores)

    assert usage.categories == {
        StorageCategory.WAITING: Stored(objects=1, bytes=5),
        StorageCategory.OTHER: Stored(objects=1, bytes=4),
    }
    assert stores.storage.of(DEFAULT_PROJECT).bytes == usage.bytes == 9


def test_an_empty_store_is_measured_too(database: Database) -> None:
    stores = Stores(database, MemoryObjects())
    assert stores.storage.all().measured_at is None

    usage = measured(stores)

    assert (usage.measured_at, usage.objects, usage.bytes, usage.projects) == (WHEN, 0, 0, ())
