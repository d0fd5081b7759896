"""The Open Inference Protocol over gRPC."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
import structlog

from contract.errors import Invalid
from services.gateway.dependencies import Backends
from services.gateway.edge.certificate import Certificate
from services.gateway.oip.grpc_codec import decode, encode
from services.gateway.oip.guard import Guard, current_project
from services.gateway.oip.proto import inference_pb2 as messages
from services.gateway.oip.proto.inference_pb2_grpc import (
    GRPCInferenceServiceServicer,
    add_GRPCInferenceServiceServicer_to_server,
)
from services.gateway.serving.dataplane import EXTENSIONS, NAME, PLATFORM, VERSION, DataPlane
from services.gateway.serving.signature import ServedTensor

log = structlog.get_logger()

GRACE_S = 20.0  # the same as the HTTP server's
MAX_TIMEOUT_S = 300.0

Tensor = messages.ModelMetadataResponse.TensorMetadata


class InferenceService(GRPCInferenceServiceServicer):
    """Translates each gRPC call to an operation of the data plane; the guard handles the errors."""

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

    async def ModelReady(self, request: messages.ModelReadyRequest, _: Any) -> messages.ModelReadyResponse:  # noqa: N802
        return messages.ModelReadyResponse(
            ready=await self._plane.model_ready(current_project(), request.name, request.version)
        )

    async def ModelMetadata(  # noqa: N802
        self, request: messages.ModelMetadataRequest, _: Any
    ) -> messages.ModelMetadataResponse:
        metadata = await self._plane.model_metadata(current_project(), request.name, request.version)
        return messages.ModelMetadataResponse(
            name=metadata.served.target.model,
            versions=map(str, metadata.versions),
            platform=PLATFORM,
            inputs=_described(metadata.served.inputs.values()),
            outputs=_described(metadata.served.outputs.values()),
        )

    async def ModelInfer(self, request: messages.ModelInferRequest, context: Any) -> messages.ModelInferResponse:  # noqa: N802
        left: float | None = context.time_remaining()
        if "timeout" in request.parameters:  # microseconds, as in Triton's schedule policy extension
            timeout = request.parameters["timeout"]
            left = min(left or MAX_TIMEOUT_S, (timeout.int64_param or timeout.uint64_param) / 1e6) or left
        within_s = None if left is None else min(left, MAX_TIMEOUT_S)
        inferred = await self._plane.infer(
            current_project(), request.model_name, request.model_version, decode(request), within_s
        )
        return encode(inferred, request)

    async def RepositoryIndex(  # noqa: N802
        self, _: messages.RepositoryIndexRequest, __: Any
    ) -> messages.RepositoryIndexResponse:
        return messages.RepositoryIndexResponse(
            models=[
                messages.RepositoryIndexResponse.ModelIndex(
                    name=version.name, version=str(version.version), state=version.state
                )
                for version in await self._plane.index(current_project())
            ]
        )

    async def RepositoryModelLoad(  # noqa: N802
        self, request: messages.RepositoryModelLoadRequest, _: Any
    ) -> messages.RepositoryModelLoadResponse:
        if request.parameters:
            raise Invalid("a model is published with its configuration; send no parameters")
        await self._plane.load(current_project(), request.model_name)
        return messages.RepositoryModelLoadResponse()

    async def RepositoryModelUnload(  # noqa: N802
        self, request: messages.RepositoryModelUnloadRequest, _: Any
    ) -> messages.RepositoryModelUnloadResponse:
        await self._plane.unload(current_project(), request.model_name)
        return messages.RepositoryModelUnloadResponse()


@asynccontextmanager
async def serving_grpc(backends: Backends) -> AsyncIterator[None]:
    """Run a server on the settings' `grpc_port`; none if the port is 0."""
    port = backends.settings.grpc_port
    if port == 0:
        yield
        return
    limits = [
        ("grpc.max_receive_message_length", backends.settings.max_predict_bytes),
        ("grpc.max_send_message_length", -1),
    ]
    server = grpc.aio.server(interceptors=[Guard(backends.access)], options=limits)
    add_GRPCInferenceServiceServicer_to_server(InferenceService(backends.plane), server)  # type: ignore[no-untyped-call]
    address, certificate = f"{backends.settings.host}:{port}", backends.certificate
    if certificate is None:
        server.add_insecure_port(address)
    else:
        server.add_secure_port(address, _credentials(certificate))
    await server.start()
    log.info("gRPC server started", port=port)
    try:
        yield
    finally:
        await server.stop(GRACE_S)


def _credentials(certificate: Certificate) -> Any:
    """Return credentials that follow the renewals of a certificate."""
    served = certificate.pem

    def configuration() -> Any:
        nonlocal served
        served = certificate.pem
        cert, key = served
        return grpc.ssl_server_certificate_configuration([(key, cert)])

    def renewed() -> Any | None:  # called for each connection, in a thread of gRPC
        return None if certificate.pem is served else configuration()

    return grpc.dynamic_ssl_server_credentials(configuration(), renewed)


def _described(tensors: Iterable[ServedTensor]) -> list[Tensor]:
    return [Tensor(name=tensor.name, datatype=tensor.datatype.name, shape=tensor.shape) for tensor in tensors]
