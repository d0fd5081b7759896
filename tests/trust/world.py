"""An instance with two projects: in one of two such worlds `alpha` owns one of everything, in the other it is empty."""

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import event, select

from contract.access import Role
from contract.artifacts import Bucket, upload_key
from contract.datasets import Split
from contract.projects import NewProjectRequest
from contract.references import UploadSource
from contract.reviews import NewReview
from contract.sampling import ReviewSampling
from messaging.in_memory import MemoryChannel
from services.gateway.app import create_app
from services.gateway.dependencies import Backends
from services.gateway.serving.batching.batcher import Batcher
from services.gateway.serving.batching.lane import Bounds
from services.gateway.settings import GatewaySettings
from services.storage.access.audit import Actor
from services.storage.catalog.uploads import new_upload_id
from services.storage.database import Database
from services.storage.memory_objects import MemoryObjects
from services.storage.people.queue import ANY
from services.storage.stores import ProjectStores, Stores
from services.storage.tables import metadata
from tests.examples import (
    BACKBONE_MANIFEST,
    BACKBONE_REQUEST,
    MODEL_MANIFEST,
    PIPELINE_REQUEST,
    PREDICT_REQUEST,
    PREPROCESS_REQUEST,
    TRAIN_REQUEST,
    WHEN,
)
from tests.support.images import png, zipped
from tests.support.onnx_models import linear
from tests.support.preparation import SPEC, Workshop
from tests.support.publication import publish
from tests.support.servers import free_port
from tests.unit.gateway.backends import classify, make_backends

OWNER, STRANGER = "alpha", "beta"
IMAGE = png(1, height=20, width=30)
FILES = {
    "train/cat/one.png": IMAGE,
    "train/dog/two.png": png(2),
    "test/cat/three.png": png(3),
    "test/dog/4.png": png(4),
}
# What differs between two runs: ids, secrets and times.
_RANDOM = re.compile(
    r"tp_[0-9a-f]{8}_[\w-]{43}|keys/[0-9a-f]{8}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\"id\":\"[0-9a-f]{8}\""
    r"|\"request_id\":\"[^\"]*\"|\d{4}-\d\d-\d\dT[\d:.]+(Z|\+00:00)|(request [0-9a-f]{32})"
)


@dataclass(frozen=True)
class World:
    """A gateway over an instance; `known` has the path parameters of what the owner has, or would have."""

    stores: Stores
    backends: Backends
    app: Any
    known: dict[str, dict[str, str | int]]
    secrets: dict[str, str]

    def headers(self, project: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.secrets[project]}"}


def make_world(folder: Path, *, full: bool) -> World:
    """Make an instance whose owner has everything, or nothing."""
    folder.mkdir()
    objects = MemoryObjects()
    stores = Stores(Database.in_memory(lambda: WHEN), objects)
    for name in (OWNER, STRANGER):
        stores.projects.create(NewProjectRequest(name=name))
    keys = {name: _project(stores, name).keys.create(name, Role.ADMIN) for name in (OWNER, STRANGER)}
    for key in keys.values():
        stores.keys.note_use(key.id)  # otherwise the gateway would, a moment after the first request
    known = _fill(stores, objects, folder) if full else {}
    secrets = {name: key.secret for name, key in keys.items()}
    inference = Batcher(MemoryChannel(classify), Bounds())
    backends = make_backends(stores, inference, GatewaySettings(grpc_port=free_port()))
    return World(stores, backends, create_app(backends), known, secrets)


def _project(stores: Stores, name: str) -> ProjectStores:
    return stores.of(name, actor=Actor("0123abcd", "test", "a-request", name))


def _fill(stores: Stores, objects: MemoryObjects, folder: Path) -> dict[str, dict[str, str | int]]:
    """Give the owner two versions of everything, an upload, a key, and a job in every state that matters."""
    owner = _project(stores, OWNER)
    archive = zipped(folder / "upload.zip", FILES).read_bytes()
    upload_id = new_upload_id()
    owner.uploads.add("pets.zip", objects.put(Bucket.UPLOADS, upload_key(upload_id, OWNER), archive))
    spec = SPEC.model_copy(update={"source": UploadSource(upload=upload_id)})
    dataset = Workshop(folder, objects).prepare(FILES, spec)
    artifact = objects.put(Bucket.JOBS, "model.onnx", linear())
    model = MODEL_MANIFEST.model_copy(update={"artifact": artifact, "variants": ()})
    for _ in range(2):
        publish(stores, PREPROCESS_REQUEST.model_copy(update={"spec": spec}), dataset, OWNER)
        publish(stores, TRAIN_REQUEST, model, OWNER)
        publish(stores, BACKBONE_REQUEST, BACKBONE_MANIFEST, OWNER)
    owner.models.set_alias("pet-cnn", "production", 1)
    owner.sampling.set("pet-cnn", "production", ReviewSampling())
    owner.pipelines.create(PIPELINE_REQUEST)
    owner.pipelines.start(PIPELINE_REQUEST.name)
    owner.jobs.create(PREDICT_REQUEST)
    owner.reviews.add([_review(hashlib.sha256(IMAGE).hexdigest())])
    (item,) = owner.reviews.list(ANY, 1).items
    ended = owner.jobs.cancel(owner.jobs.create(TRAIN_REQUEST).id)  # the events of one that waits would not end
    key = owner.keys.create("other", Role.VIEWER)
    versioned = {
        "version": 1,
        "base": 2,
        "sha256": hashlib.sha256(IMAGE).hexdigest(),
        "alias": "production",
        "variant": "fp32",
    }
    ids = {
        "item_id": item.id,
        "job_id": ended.id,
        "upload_id": upload_id,
        "key_id": key.id,
        "pool": "trainer",
        "number": 1,
    }
    names = {
        "datasets": "pets",
        "models": "pet-cnn",
        "backbones": BACKBONE_REQUEST.spec.backbone,
        "projects": OWNER,
        "reviews": "",
        "pipelines": PIPELINE_REQUEST.name,
    }
    by_noun = {noun: versioned | ids | {"name": name, "model": name} for noun, name in names.items()}
    return by_noun | {"": versioned | ids | {"model": "pet-cnn"}}


def _review(sha256: str) -> NewReview:
    return NewReview(
        source="label_errors",
        dataset="pets@1",
        split=Split.TRAIN,
        sha256=sha256,
        label_now="cat",
        guess=(("dog", 0.75), ("cat", 0.25)),
    )


def normalised(text: str) -> str:
    """Replace what is random."""
    return _RANDOM.sub("<random>", text)


def rows_of(stores: Stores, project: str) -> dict[str, list[tuple[Any, ...]]]:
    """All rows that a project owns, apart from when its keys were used."""
    tables = [table for table in metadata.sorted_tables if "project" in table.c]
    with stores.database.read() as connection:
        return {
            table.name: sorted(
                map(
                    repr,
                    connection.execute(
                        select(*(column for column in table.c if column.name != "last_used_at")).where(
                            table.c.project == project
                        )
                    ).all(),
                )
            )
            for table in tables
        }


@contextmanager
def counted(stores: Stores) -> Iterator[list[str]]:
    """Collect the SQL statements that are executed, but for those about keys, which the cache reads when it wants."""
    statements: list[str] = []

    def note(_: object, __: object, statement: str, *___: object) -> None:
        if "api_keys" not in statement and not statement.startswith("BEGIN"):
            statements.append(statement)

    event.listen(stores.database.engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(stores.database.engine, "before_cursor_execute", note)
