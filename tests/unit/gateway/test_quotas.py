"""Every interface of the gateway refuses requests over a project's quotas, and only that project's."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import NamedTuple

import grpc.aio
import pytest
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from contract.access import DEFAULT_PROJECT, Role
from contract.errors import QuotaExceeded
from contract.projects import NewProjectRequest, ProjectChange, Quotas
from contract.usage import Purpose, Use
from services.gateway.app import create_app, create_protocol
from services.gateway.dependencies import Backends
from services.gateway.oip.grpc import serving_grpc
from services.gateway.oip.proto import inference_pb2 as messages
from services.gateway.oip.proto.inference_pb2_grpc import GRPCInferenceServiceStub
from services.gateway.serving.predictor import ModelQuery
from services.gateway.settings import GatewaySettings
from services.storage.stores import Stores
from tests.examples import MODEL_MANIFEST, TRAIN_REQUEST
from tests.support.publication import publish
from tests.support.servers import free_port
from tests.unit.gateway.backends import make_backends
from tests.unit.gateway.fast_path.serving import no_app, serving, warm

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("model", "fresh_cache")]

PREDICT = "/v1/models/pet-cnn/predict"
INFER = "/v2/models/pet-cnn/infer"
PER_MINUTE = Quotas(requests_per_minute=2)
AT_ONCE = Quotas(requests_at_once=1)
SECONDS = Quotas(replica_seconds_per_month=10)


class Answer(NamedTuple):
    """Whether a request was refused because of a quota, and what the refusal tells."""

    quota: str | None
    retry_after: str | None
    message: str


Interface = Callable[[Backends, str], Awaitable[Answer]]


@pytest.fixture
def backends(app: FastAPI, stores: Stores) -> Backends:
    inference = app.state.backends.predictor.inference
    return make_backends(stores, inference, GatewaySettings(grpc_port=free_port()))


@pytest.fixture
def lab(stores: Stores) -> str:
    """The key of a project that has a model."""
    stores.projects.create(NewProjectRequest(name="lab"))
    publish(stores, TRAIN_REQUEST, MODEL_MANIFEST, "lab")
    return stores.of("lab").keys.create("ann", Role.ADMIN).secret


@pytest.fixture
def other(stores: Stores) -> str:
    """The key of a project without quotas."""
    return stores.keys.create("bob", Role.ADMIN).secret


async def over_http(backends: Backends, secret: str, path: str, fast_path: bool) -> Answer:
    headers = {"Content-Type": "image/png", "Authorization": f"Bearer {secret}"}
    protocol = create_protocol(backends) if fast_path else HttpToolsProtocol
    async with serving(no_app if fast_path else create_app(backends), protocol) as client:
        response = await client.post(path, content=b"image", headers=headers)
    body = response.json()
    quota = response.headers.get("tidepool-quota")
    assert (response.status_code == 429) == (quota is not None)
    if path == PREDICT:
        assert (body.get("quota"), body.get("code") == "quota_exceeded") == (quota, quota is not None)
    return Answer(quota, response.headers.get("retry-after"), str(body.get("error" if path == INFER else "detail")))


async def over_rest(backends: Backends, secret: str) -> Answer:
    return await over_http(backends, secret, PREDICT, fast_path=False)


async def over_the_fast_path(backends: Backends, secret: str) -> Answer:
    return await over_http(backends, secret, PREDICT, fast_path=True)


async def over_oip_http(backends: Backends, secret: str) -> Answer:
    return await over_http(backends, secret, INFER, fast_path=False)


async def over_the_oip_fast_path(backends: Backends, secret: str) -> Answer:
    return await over_http(backends, secret, INFER, fast_path=True)


async def over_grpc(backends: Backends, secret: str) -> Answer:
    address = f"{backends.settings.host}:{backends.settings.grpc_port}"
    async with serving_grpc(backends), grpc.aio.insecure_channel(address) as channel:
        infer = GRPCInferenceServiceStub(channel).ModelInfer  # type: ignore[no-untyped-call]
        key = (("authorization", f"Bearer {secret}"),)
        with pytest.raises(grpc.aio.AioRpcError) as caught:  # a request without tensors is wrong anyway
            await infer(messages.ModelInferRequest(model_name="pet-cnn"), metadata=key)
    metadata = dict(caught.value.trailing_metadata() or ())
    refused = caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert refused == ("tidepool-quota" in metadata)
    return Answer(metadata.get("tidepool-quota"), metadata.get("retry-after"), str(caught.value.details()))


interfaces = pytest.mark.parametrize(
    "interface", [over_rest, over_the_fast_path, over_oip_http, over_the_oip_fast_path, over_grpc]
)


async def warmed(backends: Backends, stores: Stores, quotas: Quotas, *secrets: str) -> None:
    """Set the quotas of the lab, and put keys, models and what was used into the caches."""
    stores.projects.change("lab", ProjectChange(quotas=quotas))
    for project, secret in zip(("lab", DEFAULT_PROJECT), secrets, strict=False):
        await warm(backends, secret, ModelQuery(project, "pet-cnn"))
    with suppress(QuotaExceeded):
        await backends.quotas.require_seconds(await backends.access.authenticate(f"Bearer {secrets[0]}"))


@interfaces
async def test_requests_over_those_of_a_minute_are_refused(
    backends: Backends, stores: Stores, lab: str, other: str, interface: Interface
) -> None:
    await warmed(backends, stores, PER_MINUTE, lab, other)

    answers = [await interface(backends, lab) for _ in range(3)]

    assert [answer.quota for answer in answers] == [None, None, "requests_per_minute"]
    assert answers[2].message.startswith("the project's quota requests_per_minute is 2")
    assert 0 < int(answers[2].retry_after or "") <= 30
    assert [(await interface(backends, other)).quota for _ in range(3)] == [None] * 3


@interfaces
async def test_requests_over_those_at_once_are_refused(
    backends: Backends, stores: Stores, lab: str, other: str, interface: Interface
) -> None:
    await warmed(backends, stores, AT_ONCE, lab, other)

    with backends.quotas.counted(await backends.access.authenticate(f"Bearer {lab}")):
        refused = await interface(backends, lab)
        assert (refused.quota, refused.retry_after) == ("requests_at_once", "1")
        assert refused.message.startswith("the project's quota requests_at_once is 1")
        assert (await interface(backends, other)).quota is None

    # each request has left at its end
    assert [(await interface(backends, lab)).quota for _ in range(2)] == [None, None]


@interfaces
async def test_predictions_are_refused_when_the_replica_seconds_of_the_month_are_used(
    backends: Backends, stores: Stores, lab: str, other: str, interface: Interface
) -> None:
    stores.ledger.add("inference", False, {Use(Purpose.ONLINE, "pet-cnn", project="lab"): 9.0})
    await warmed(backends, stores, SECONDS, lab, other)
    assert (await interface(backends, lab)).quota is None

    stores.ledger.add("inference", False, {Use(Purpose.JOB, "pet-cnn", "a-job", "lab"): 1.0})
    backends.quotas.forget()
    await warmed(backends, stores, SECONDS, lab, other)
    refused = await interface(backends, lab)

    assert refused.quota == "replica_seconds_per_month"
    assert "replica_seconds_per_month is 10, and 10 are used; the next month begins at 20" in refused.message
    assert 0 < int(refused.retry_after or "") <= 31 * 86400
    assert (await interface(backends, other)).quota is None


async def test_a_call_waits_for_the_endpoint_until_the_used_seconds_are_known(
    backends: Backends, stores: Stores, lab: str
) -> None:
    stores.ledger.add("inference", False, {Use(Purpose.ONLINE, "pet-cnn", project="lab"): 10.0})
    stores.projects.change("lab", ProjectChange(quotas=SECONDS))
    await warm(backends, lab, ModelQuery("lab", "pet-cnn"))

    async with serving(create_app(backends), create_protocol(backends)) as client:
        headers = {"Content-Type": "image/png", "Authorization": f"Bearer {lab}"}
        response = await client.post(PREDICT, content=b"image", headers=headers)

    assert (response.status_code, response.headers["tidepool-quota"]) == (429, "replica_seconds_per_month")


async def test_an_instances_admin_counts_for_the_project_that_is_named(backends: Backends, stores: Stores) -> None:
    stores.projects.create(NewProjectRequest(name="lab"))
    stores.projects.change("lab", ProjectChange(quotas=PER_MINUTE))
    root = stores.keys.create("root", Role.INSTANCE_ADMIN).secret

    async with serving(create_app(backends), HttpToolsProtocol) as client:
        headers = {"Authorization": f"Bearer {root}"}
        in_lab = [
            (await client.get("/v1/jobs", headers=headers | {"Tidepool-Project": "lab"})).status_code for _ in range(3)
        ]
        elsewhere = (await client.get("/v1/jobs", headers=headers)).status_code

    assert (in_lab, elsewhere) == ([200, 200, 429], 200)
