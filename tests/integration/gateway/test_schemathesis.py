"""The gateway follows its OpenAPI document: schemathesis generates requests from it and checks the answers."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
import uvicorn
from structlog.testing import capture_logs

from contract.access import DEFAULT_PROJECT, Scope
from contract.artifacts import Bucket, upload_key
from contract.kinds.train import TrainSpec
from contract.reviews import NewReview
from messaging.broker import Broker, celery_app
from messaging.in_memory import MemoryChannel
from messaging.redis_channel import RedisChannel
from messaging.reports import RedisReports
from messaging.settings import BrokerSettings
from services.gateway.app import create_app, create_protocol
from services.gateway.dependencies import Backends
from services.gateway.edge import guesses
from services.gateway.serving.batching.batcher import Batcher
from services.gateway.serving.batching.lane import Bounds
from services.gateway.serving.predictor import Predictor
from services.gateway.settings import GatewaySettings
from services.storage.catalog.uploads import new_upload_id
from services.storage.database import Database
from services.storage.memory_objects import MemoryObjects
from services.storage.people.queue import ANY
from services.storage.pools.demand import Demand
from services.storage.stores import Stores
from tests.examples import DATASET_MANIFEST, MODEL_MANIFEST, PREPROCESS_REQUEST, PREPROCESS_SPEC, TRAIN_REQUEST
from tests.support.images import png
from tests.support.onnx_models import linear
from tests.support.publication import publish
from tests.support.servers import Server, free_port
from tests.unit.gateway.backends import classify, gateway

TIMEOUT = "504"  # of a deadline of a nanosecond

# not a fixture, because schemathesis creates the tests while pytest collects
DOCUMENT = gateway(Stores(Database.in_memory(), MemoryObjects()), MemoryChannel(classify)).openapi()
CONFIG = schemathesis.Config.from_dict(
    {
        "seed": 1,
        "generation": {"max-examples": 5, "deterministic": True, "database": "none"},
        "checks": {
            "not_a_server_error": {"expected-statuses": ["2xx", "3xx", "4xx", TIMEOUT]},
            # a schema cannot say that an upload is too large, or that layers do not fit together
            "positive_data_acceptance": {
                "expected-statuses": ["2xx", "3xx", "401", "404", "409", "413", "422", TIMEOUT]
            },
        },
    }
)

schemathesis.serializer.alias("image/bmp", "application/octet-stream")
schema = schemathesis.openapi.from_dict(DOCUMENT, config=CONFIG)


@pytest.fixture(scope="module")
def known(stores: Stores) -> dict[str, str | int]:
    """Path parameters of existing resources, with the names from the examples of the document."""
    artifact = stores.objects.put(Bucket.JOBS, "model.onnx", linear())
    manifest = MODEL_MANIFEST.model_copy(update={"artifact": artifact, "variants": ()})
    preparation = PREPROCESS_SPEC.model_copy(update={"dataset": "cifar10"})
    training = TrainSpec(dataset="cifar10@1", model="cifar10")
    for _ in range(2):
        job = publish(stores, PREPROCESS_REQUEST.model_copy(update={"spec": preparation}), DATASET_MANIFEST)
        publish(stores, TRAIN_REQUEST.model_copy(update={"spec": training}), manifest)
    stores.of(DEFAULT_PROJECT).models.set_alias("cifar10", "production", 1)
    upload = stores.of(DEFAULT_PROJECT).uploads.expect(new_upload_id(), "pets.zip", 2, None)
    stores.objects.put(Bucket.UPLOADS, upload_key(upload.id), b"PK")
    sample = stores.objects.put(Bucket.UPLOADS, "sample", png(1))
    stores.of(DEFAULT_PROJECT).reviews.add([NewReview(source="margin", sha256=sample.sha256, file=sample)])
    (item,) = stores.of(DEFAULT_PROJECT).reviews.list(ANY, 1).items
    key = stores.keys.create("victim", frozenset({Scope.READ}))
    return {
        "name": "cifar10",
        "version": 1,
        "base": 2,
        "number": 1,
        "sha256": "0" * 64,
        "alias": "production",
        "variant": "fp32",
        "item_id": item.id,
        "job_id": job.id,
        "upload_id": upload.id,
        "key_id": key.id,
        "pool": "inference",
    }


@pytest.fixture(scope="module")
def address(stores: Stores, redis: Server, replica: None) -> Iterator[str]:
    """The URL of a gateway over real servers, which does not limit how many unknown keys an address tries."""
    broker = BrokerSettings.model_validate({"url": redis.url})
    batcher = Batcher(RedisChannel("inference", broker, Broker(celery_app(broker))), Bounds())
    demand = Demand(stores.pools, RedisReports(broker))
    backends = Backends(GatewaySettings(), stores, Predictor(batcher, stores), demand)
    port = free_port()
    server = uvicorn.Server(
        uvicorn.Config(
            create_app(backends), http=create_protocol(backends), port=port, log_config=None, access_log=False
        )
    )
    thread = threading.Thread(target=server.run)
    # rendering the many log lines is slow
    with capture_logs(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(guesses, "BURST", 1_000_000)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{port}"
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def headers(stores: Stores) -> dict[str, str]:
    """An admin key that no test revokes."""
    return {"Authorization": f"Bearer {stores.keys.create('tester', frozenset({Scope.ADMIN})).secret}"}


@schema.parametrize()
def test_every_answer_is_documented(
    case: schemathesis.Case[Any], address: str, headers: dict[str, str], known: dict[str, str | int]
) -> None:
    answer = case.call_and_validate(base_url=address, headers=headers)
    assert answer.status_code < 500 or _timed_out(case, answer)

    # most generated names do not exist, so repeat valid requests with names that do
    if case.path_parameters and case.meta and case.meta.generation.mode == schemathesis.GenerationMode.POSITIVE:
        case.path_parameters = {name: known[name] for name in case.path_parameters}
        if case.method == "DELETE" and "version" in case.path_parameters:
            case.path_parameters["version"] = 2
        answer = case.call_and_validate(base_url=address, headers=headers)
        assert answer.status_code < 500 or _timed_out(case, answer)


def _timed_out(case: schemathesis.Case[Any], answer: schemathesis.Response) -> bool:
    return str(answer.status_code) == TIMEOUT and "x-request-timeout" in {name.lower() for name in case.headers or ()}
