"""Cached features of a dataset's images: one file for each way to compute them, shared by all versions."""

from datetime import datetime

from sqlalchemy import Connection, delete, select

from contract.artifacts import ObjectRef
from contract.training import FeatureFile
from services.storage.inserts import insert_for
from services.storage.references import Owner, add_references, drop_references, owned
from services.storage.tables import features


def keep_features(connection: Connection, project: str, dataset: str, cached: FeatureFile, now: datetime) -> None:
    """Replace the dataset's file with this key; runs in the transaction that finishes its job."""
    values = {"file": cached.file.model_dump(mode="json"), "created_at": now}
    row = insert_for(connection, features).values(project=project, dataset=dataset, key=cached.key, **values)
    connection.execute(row.on_conflict_do_update(index_elements=["project", "dataset", "key"], set_=values))
    owner = owned(project, f"{dataset}/{cached.key}")
    drop_references(connection, Owner.FEATURES, owner)
    add_references(connection, Owner.FEATURES, owner, cached.file)


def find_features(connection: Connection, project: str, dataset: str, key: str) -> ObjectRef | None:
    """Return the dataset's file with this key, or None."""
    table = features.c
    query = select(table.file).where(table.project == project, table.dataset == dataset, table.key == key)
    row = connection.execute(query).scalar_one_or_none()
    return None if row is None else ObjectRef.model_validate(row)


def drop_file(connection: Connection, project: str, dataset: str, key: str) -> None:
    """Forget the file with this key, so that the collector deletes it."""
    table = features.c
    of_key = (table.project == project) & (table.dataset == dataset) & (table.key == key)
    connection.execute(delete(features).where(of_key))
    drop_references(connection, Owner.FEATURES, owned(project, f"{dataset}/{key}"))


def drop_features(connection: Connection, project: str, dataset: str) -> None:
    """Forget all files of a dataset, so that the collector deletes them."""
    of_dataset = (features.c.project == project) & (features.c.dataset == dataset)
    keys = connection.execute(select(features.c.key).where(of_dataset)).scalars().all()
    drop_references(connection, Owner.FEATURES, *(owned(project, f"{dataset}/{key}") for key in keys))
    connection.execute(delete(features).where(of_dataset))
