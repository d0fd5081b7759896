"""The Open Inference Protocol over gRPC."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
import structlog

from contract.errors import Invalid
from services.gateway.dependencies import Backends
from services.gateway.edge.byte_budget import ByteBudget, holding
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
from services.gateway.settings import GatewaySettings

log = structlog.get_logger()

GRACE_S = 20.0  # the same as the HTTP server's
MAX_TIMEOUT_S = 300.0
STREAMS = 256  # calls at once in one connection
IDLE_MS = 300_000  # a connection without calls is closed after this time
KEEPALIVE_MS = 60_000
PING_MS = 10_000  # clients may ping this often; more often, their connection is closed

Tensor = messages.ModelMetadataResponse.TensorMetadata


class InferenceService(GRPCInferenceServiceServicer):
    """Translates each gRPC call to an operation of the data plane; the guard handles the errors."""

    def __init__(self, plane: DataPlane, budget: ByteBudget) -> None:
        self._plane = plane
        self._budget = budget

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
        with holding(self._budget) as hold:
            hold.grow_to(request.ByteSize())
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
    server = grpc.aio.server(
        interceptors=[Guard(backends.access, backends.quotas)],
        options=_limits(backends.settings),
        maximum_concurrent_rpcs=backends.settings.max_grpc_calls,
    )
    service = InferenceService(backends.plane, backends.bodies.predictions)
    add_GRPCInferenceServiceServicer_to_server(service, server)  # type: ignore[no-untyped-call]
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


def _limits(settings: GatewaySettings) -> list[tuple[str, int]]:
    """Return the options of the server; the guard is what keeps large messages away from unknown callers."""
    return [
        ("grpc.max_receive_message_length", settings.max_predict_bytes),
        ("grpc.max_send_message_length", -1),
        ("grpc.max_metadata_size", settings.max_header_bytes),
        ("grpc.absolute_max_metadata_size", settings.max_header_bytes),
        ("grpc.max_concurrent_streams", STREAMS),
        ("grpc.max_allowed_incoming_connections", settings.max_connections),
        ("grpc.server_handshake_timeout_ms", round(settings.header_timeout_s * 1000)),
        ("grpc.max_connection_idle_ms", IDLE_MS),
        ("grpc.keepalive_time_ms", KEEPALIVE_MS),  # finds clients that are gone
        ("grpc.keepalive_timeout_ms", KEEPALIVE_MS // 3),
        ("grpc.http2.min_ping_interval_without_data_ms", PING_MS),
        ("grpc.http2.max_ping_strikes", 2),
        ("grpc.keepalive_permit_without_calls", 1),
    ]


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
