"""The servers of a stack, its empty state, and a process that answers predictions."""

import os
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest

from services.storage.database import Database
from services.storage.migrate import migrate
from services.storage.objects import S3Objects
from services.storage.pools.pools import Pools
from services.storage.settings import ObjectsSettings
from services.storage.stores import Stores
from tests.support.onnx_models import linear
from tests.support.onnx_serving import serve
from tests.support.servers import S3Server, Server, service_environment

WEIGHTS = np.random.default_rng(0).normal(0, 0.1, (3 * 8 * 6, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def environment(redis: Server, s3: S3Server, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return service_environment(f"sqlite:///{tmp_path_factory.mktemp('gateway')}/tidepool.db", redis, s3)


@pytest.fixture(scope="module")
def stores(environment: dict[str, str], s3: S3Server) -> Stores:
    """The empty state of a stack."""
    database = Database.connect(environment["TIDEPOOL_DATABASE_URL"])
    migrate(database)
    Pools(database).ensure()
    settings = {"endpoint": s3.url, "access_key": s3.access_key, "secret_key": s3.secret_key}
    objects = S3Objects(ObjectsSettings.model_validate(settings))
    objects.make_buckets()
    return Stores(database, objects)


@pytest.fixture(scope="module")
def replica(environment: dict[str, str], stores: Stores) -> Iterator[None]:
    """A process that answers predictions."""
    command = [sys.executable, "-m", "services.inference.main"]
    process = subprocess.Popen(command, env=os.environ | environment)
    yield
    process.terminate()
    process.wait(30)


@pytest.fixture(scope="module")
def model(stores: Stores) -> str:
    """A model of three classes, for images of 8 by 6."""
    serve(stores, "linear", linear(weights=WEIGHTS))
    return "linear"


def logits(images: np.ndarray) -> np.ndarray:
    """Return what the model answers."""
    return images.reshape(len(images), -1) @ WEIGHTS
