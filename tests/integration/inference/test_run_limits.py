"""Real replicas stop runs that take too long, and answer the requests of other models meanwhile."""

import asyncio
from collections.abc import Awaitable, Callable

import numpy as np
import pytest

from contract.access import DEFAULT_PROJECT
from contract.errors import Conflict, DeadlineExceeded
from contract.inference import Artifact, Outputs, Target, Tensor, Tensors
from contract.references import Reference
from services.gateway.serving.batching.batcher import Batcher
from tests.support.batcher import batcher
from tests.support.onnx_graphs import lookup, loop, product
from tests.support.onnx_serving import serve
from tests.support.replicas import Replicas


@pytest.fixture
def replicas(replicas: Replicas) -> Replicas:
    for name, file in {"spinner": loop(), "steady": lookup(), "stuck": product()}.items():
        serve(replicas.stores, name, file)
    return replicas


def target(replicas: Replicas, name: str) -> Target:
    _, manifest = replicas.stores.of(DEFAULT_PROJECT).models.manifest(Reference(name=name, version=1))
    return Target(name, 1, Artifact(**manifest.artifact.model_dump(mode="json")), batched=False)


def tensors(**values: object) -> Tensors:
    types = {"float32": "FP32", "int64": "INT64"}
    arrays = {name: np.asarray(value) for name, value in values.items()}
    return Tensors(
        tuple(Tensor(name, types[str(array.dtype)], array.shape, array.tobytes()) for name, array in arrays.items())
    )


def status(replicas: Replicas, name: str) -> tuple[str, str | None]:
    version = replicas.stores.of(DEFAULT_PROJECT).models.get(Reference(name=name, version=1))
    return version.status, version.reason


def test_an_endless_loop_is_stopped_and_its_version_quarantined(replicas: Replicas) -> None:
    replicas.start("inference", TIDEPOOL_INFERENCE_RUN_S="1")
    spinner, steady = target(replicas, "spinner"), target(replicas, "steady")
    endless = tensors(x=np.ones((1, 2), np.float32), rounds=np.int64(2**62))

    async def ask(client: Batcher) -> None:
        for _ in range(3):
            stopped, answered = await asyncio.gather(
                client.ask(spinner, endless, 60), client.ask(steady, tensors(x=[1]), 60), return_exceptions=True
            )
            assert isinstance(stopped, DeadlineExceeded), stopped
            assert "took more than 1 s" in stopped.message
            assert not isinstance(answered, BaseException), answered
            assert isinstance(answered.answer, Outputs)
        with pytest.raises(Conflict, match="spinner@1 is quarantined"):
            await client.ask(spinner, endless, 60)
        assert isinstance((await client.ask(steady, tensors(x=[1]), 60)).answer, Outputs)

    asyncio.run(asking(replicas, ask))

    assert status(replicas, "spinner")[0] == "quarantined"
    assert status(replicas, "steady") == ("ready", None)


def test_a_run_that_cannot_be_stopped_costs_one_replica(replicas: Replicas) -> None:
    # given an operator that computes for many seconds, and two replicas
    for _ in range(2):
        replicas.start("inference", TIDEPOOL_INFERENCE_RUN_S="2")
    stuck, steady = target(replicas, "stuck"), target(replicas, "steady")

    # then the replica that runs it ends, and the other one refuses it when it is sent again
    async def ask(client: Batcher) -> None:
        with pytest.raises(Conflict, match=r"could not be stopped after 2 s"):
            await client.ask(stuck, tensors(n=[10_000]), 60)
        assert isinstance((await client.ask(steady, tensors(x=[1]), 60)).answer, Outputs)

    asyncio.run(asking(replicas, ask))

    assert status(replicas, "stuck")[0] == "quarantined"


async def asking(replicas: Replicas, ask: Callable[[Batcher], Awaitable[None]]) -> None:
    async with batcher("inference", replicas.settings.url.get_secret_value()) as client:
        await ask(client)
