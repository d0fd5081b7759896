"""Counts the objects and bytes of each project by category, from the object store's own listing."""

from collections import Counter
from collections.abc import Collection

from sqlalchemy import Connection, and_, select

from contract.artifacts import Bucket, attempt_of, project_of
from contract.usage import StorageCategory, Stored
from services.storage.catalog.storage_usage import StorageUsages
from services.storage.database import Database
from services.storage.objects import Objects
from services.storage.references import Owner
from services.storage.sweep.collector import running_attempts
from services.storage.tables import jobs, object_references

BATCH = 1000  # objects
CATEGORIES = {
    Owner.UPLOAD: StorageCategory.UPLOADS,
    Owner.DATASET_VERSION: StorageCategory.DATASETS,
    Owner.MODEL_VERSION: StorageCategory.MODELS,
    Owner.BACKBONE_VERSION: StorageCategory.BACKBONES,
    Owner.FEATURES: StorageCategory.FEATURES,
    Owner.JOB_OUTPUT: StorageCategory.PREDICTIONS,
    Owner.JOB_CHECKPOINT: StorageCategory.CHECKPOINTS,
    Owner.JOB_PARTS: StorageCategory.PARTS,
    Owner.REVIEW: StorageCategory.REVIEWS,
}
_ORDER = list(StorageCategory)


class StorageMeter:
    """Measures what is stored, for `GET /v1/usage/storage`.

    Every listed object counts once: for the project in its key, and in the category of what refers to it. What is
    written or deleted during the listing counts the next time.
    """

    def __init__(self, database: Database, objects: Objects) -> None:
        self._database = database
        self._objects = objects

    def measure(self) -> int:
        """Count what is stored, and return the number of objects; raises ObjectsUnavailable, DatabaseUnavailable."""
        now = self._database.now()
        objects, sizes = Counter[tuple[str, StorageCategory]](), Counter[tuple[str, StorageCategory]]()
        for bucket in Bucket:
            entries = self._objects.entries(bucket)
            for start in range(0, len(entries), BATCH):
                batch = entries[start : start + BATCH]
                with self._database.read() as connection:
                    categories = _categories(connection, bucket, [entry.key for entry in batch])
                for entry in batch:
                    counted = project_of(bucket, entry.key), categories[entry.key]
                    objects[counted] += 1
                    sizes[counted] += entry.size
        stored = {key: Stored(objects=count, bytes=sizes[key]) for key, count in objects.items()}
        StorageUsages(self._database).replace(stored, now)
        return objects.total()


def _categories(connection: Connection, bucket: Bucket, keys: list[str]) -> dict[str, StorageCategory]:
    """Return what each object is kept for."""
    registry = object_references.c
    of_output = and_(registry.owner_kind == Owner.JOB_OUTPUT, jobs.c.id == registry.owner_id)
    query = select(registry.key, registry.owner_kind, jobs.c.kind).join(jobs, of_output, isouter=True)
    referenced: dict[str, StorageCategory] = {}
    for key, owner, kind in connection.execute(query.where(registry.bucket == bucket, registry.key.in_(keys))):
        category = StorageCategory.EVALUATIONS if kind == "evaluate" else CATEGORIES[Owner(owner)]
        referenced[key] = min(category, referenced.get(key, category), key=_ORDER.index)
    running = running_attempts(connection) if bucket is Bucket.JOBS and len(referenced) < len(keys) else frozenset()
    return {key: referenced.get(key) or _unreferenced(bucket, key, running) for key in keys}


def _unreferenced(bucket: Bucket, key: str, running: Collection[str]) -> StorageCategory:
    if bucket is Bucket.UPLOADS:
        return StorageCategory.WAITING
    attempt = attempt_of(key)
    if attempt is None:
        return StorageCategory.OTHER
    return StorageCategory.RUNNING if attempt in running else StorageCategory.WAITING
