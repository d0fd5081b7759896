"""The Open Inference Protocol over gRPC."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import grpc.aio
import structlog

from contract.errors import Invalid
from services.gateway.dependencies import Backends
from services.gateway.oip.grpc_codec import decode, encode
from services.gateway.oip.guard import Guard
from services.gateway.oip.proto import inference_pb2 as messages
from services.gateway.oip.proto.inference_pb2_grpc import (
    GRPCInferenceServiceServicer,
    add_GRPCInferenceServiceServicer_to_server,
)
from services.gateway.serving.dataplane import EXTENSIONS, NAME, PLATFORM, VERSION, DataPlane
from services.gateway.serving.signature import Signature

log = structlog.get_logger()

GRACE_S = 20.0  # as the HTTP server has
MOST_S = 300.0  # no deadline of a client is longer

Tensor = messages.ModelMetadataResponse.TensorMetadata


class InferenceService(GRPCInferenceServiceServicer):
    """Each call of the service as one of the data plane; what they raise is for the guard."""

    def __init__(self, plane: DataPlane) -> None:
        self._plane = plane

    async def ServerLive(self, _: messages.ServerLiveRequest, __: Any) -> messages.ServerLiveResponse:  # noqa: N802
        return messages.ServerLiveResponse(live=True)

    async def ServerReady(self, _: messages.ServerReadyRequest, __: Any) -> messages.ServerReadyResponse:  # noqa: N802
        return messages.ServerReadyResponse(ready=await self._plane.ready())

    async def ServerMetadata(  # noqa: N802
        self, _: messages.ServerMetadataRequest, __: Any
    ) -> messages.ServerMetadataResponse:
        return messages.ServerMetadataResponse(name=NAME, version=VERSION, extensions=EXTENSIONS)

    async def ModelReady(self, asked: messages.ModelReadyRequest, _: Any) -> messages.ModelReadyResponse:  # noqa: N802
        return messages.ModelReadyResponse(ready=await self._plane.model_ready(asked.name, asked.version))

    async def ModelMetadata(  # noqa: N802
        self, asked: messages.ModelMetadataRequest, _: Any
    ) -> messages.ModelMetadataResponse:
        found = await self._plane.model_metadata(asked.name, asked.version)
        return messages.ModelMetadataResponse(
            name=found.served.target.model,
            versions=map(str, found.versions),
            platform=PLATFORM,
            inputs=_described(found.served.inputs.values()),
            outputs=_described(found.served.outputs.values()),
        )

    async def ModelInfer(self, asked: messages.ModelInferRequest, context: Any) -> messages.ModelInferResponse:  # noqa: N802
        left: float | None = context.time_remaining()
        if "timeout" in asked.parameters:  # microseconds, as in Triton's schedule policy extension
            timeout = asked.parameters["timeout"]
            left = min(left or MOST_S, (timeout.int64_param or timeout.uint64_param) / 1e6) or left
        inferred = await self._plane.infer(
            asked.model_name, asked.model_version, decode(asked), None if left is None else min(left, MOST_S)
        )
        return encode(inferred, asked)

    async def RepositoryIndex(  # noqa: N802
        self, _: messages.RepositoryIndexRequest, __: Any
    ) -> messages.RepositoryIndexResponse:
        return messages.RepositoryIndexResponse(
            models=[
                messages.RepositoryIndexResponse.ModelIndex(
                    name=found.name, version=str(found.version), state=found.state
                )
                for found in await self._plane.index()
            ]
        )

    async def RepositoryModelLoad(  # noqa: N802
        self, asked: messages.RepositoryModelLoadRequest, _: Any
    ) -> messages.RepositoryModelLoadResponse:
        if asked.parameters:
            raise Invalid("a model is published with its configuration; send no parameters")
        await self._plane.load(asked.model_name)
        return messages.RepositoryModelLoadResponse()

    async def RepositoryModelUnload(  # noqa: N802
        self, asked: messages.RepositoryModelUnloadRequest, _: Any
    ) -> messages.RepositoryModelUnloadResponse:
        await self._plane.unload(asked.model_name)
        return messages.RepositoryModelUnloadResponse()


@asynccontextmanager
async def serving_grpc(behind: Backends) -> AsyncIterator[None]:
    """A server on the settings' `grpc_port` while inside; none where that is 0."""
    port = behind.settings.grpc_port
    if port == 0:
        yield
        return
    limits = [
        ("grpc.max_receive_message_length", behind.settings.max_predict_bytes),
        ("grpc.max_send_message_length", -1),
    ]
    server = grpc.aio.server(interceptors=[Guard(behind.keys)], options=limits)
    add_GRPCInferenceServiceServicer_to_server(InferenceService(behind.plane), server)  # type: ignore[no-untyped-call]
    server.add_insecure_port(f"{behind.settings.host}:{port}")
    await server.start()
    log.info("grpc listens", port=port)
    try:
        yield
    finally:
        await server.stop(GRACE_S)


def _described(signatures: Iterable[Signature]) -> list[Tensor]:
    return [Tensor(name=found.name, datatype=found.datatype.name, shape=found.shape) for found in signatures]
