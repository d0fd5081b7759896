"""Authentication, request ids, errors and metrics of gRPC calls."""

import time
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from http import HTTPStatus
from typing import Any

import grpc
import grpc.aio
import structlog
from prometheus_client import Histogram

from contract.access import Caller, Scope
from contract.errors import Overloaded, TidepoolError
from services.gateway.edge.access import PROJECT_HEADER, Access
from services.gateway.edge.request_id import named, request_id_of

log = structlog.get_logger()

SECONDS = Histogram("tidepool_grpc_request_seconds", "Time of a call, by how it ended.", ["method", "code"])

SCOPES = {
    "ModelReady": Scope.READ,
    "ModelMetadata": Scope.READ,
    "RepositoryIndex": Scope.READ,
    "RepositoryModelLoad": Scope.PREDICT,
    "RepositoryModelUnload": Scope.PREDICT,
    "ModelInfer": Scope.PREDICT,
}
WITHOUT_KEY = {"ServerLive", "ServerReady"}  # for health checks
_CODES = {
    HTTPStatus.UNAUTHORIZED: grpc.StatusCode.UNAUTHENTICATED,
    HTTPStatus.FORBIDDEN: grpc.StatusCode.PERMISSION_DENIED,
    HTTPStatus.NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    HTTPStatus.CONFLICT: grpc.StatusCode.FAILED_PRECONDITION,
    HTTPStatus.INTERNAL_SERVER_ERROR: grpc.StatusCode.INTERNAL,
    HTTPStatus.SERVICE_UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT: grpc.StatusCode.DEADLINE_EXCEEDED,
}
_CALLER: ContextVar[Caller] = ContextVar("caller")


def current_project() -> str:
    """Return the project of the current call's caller."""
    return _CALLER.get().project


class Guard(grpc.aio.ServerInterceptor):  # type: ignore[misc]
    """Requires `authorization: Bearer <key>` in the metadata, except for health, and gives each call a request id."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def intercept_service(self, continuation: Callable[[Any], Awaitable[Any]], handler_call_details: Any) -> Any:
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        method = handler_call_details.method.rpartition("/")[2]
        metadata = dict(handler_call_details.invocation_metadata or ())

        async def guarded(request: Any, context: Any) -> Any:
            request_id = request_id_of(str(metadata.get("x-request-id", "")).encode())
            started, code = time.perf_counter(), grpc.StatusCode.OK
            context.set_trailing_metadata((("x-request-id", request_id),))
            try:
                with named(request_id):
                    if method not in WITHOUT_KEY:
                        header, project = metadata.get("authorization"), metadata.get(PROJECT_HEADER.lower())
                        _CALLER.set(await self._access.authenticate(header, SCOPES.get(method), project))
                    return await handler.unary_unary(request, context)
            except TidepoolError as error:
                if not isinstance(error, Overloaded) and error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                    log.warning("call failed", method=method, code=error.code, request_id=request_id, exc_info=error)
                code = _CODES.get(HTTPStatus(error.status), grpc.StatusCode.INVALID_ARGUMENT)
                await context.abort(code, error.message)
            except Exception as error:
                log.error("call failed", method=method, code="internal", request_id=request_id, exc_info=error)
                code = grpc.StatusCode.INTERNAL
                await context.abort(code, f"an internal error; the gateway's log has it under {request_id}")
            finally:
                SECONDS.labels(method, code.name).observe(time.perf_counter() - started)

        return grpc.unary_unary_rpc_method_handler(
            guarded,
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )
