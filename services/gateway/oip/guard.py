"""The only place that lets gRPC calls in, by their key, and answers for what they raise."""

import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

import grpc
import grpc.aio
import structlog
from prometheus_client import Histogram

from contract.errors import Forbidden, Overloaded, TidepoolError, Unauthenticated
from contract.keys import ApiKey, Scope
from services.gateway.edge.recent import Recent
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
_CODES = {
    HTTPStatus.UNAUTHORIZED: grpc.StatusCode.UNAUTHENTICATED,
    HTTPStatus.FORBIDDEN: grpc.StatusCode.PERMISSION_DENIED,
    HTTPStatus.NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    HTTPStatus.CONFLICT: grpc.StatusCode.FAILED_PRECONDITION,
    HTTPStatus.INTERNAL_SERVER_ERROR: grpc.StatusCode.INTERNAL,
    HTTPStatus.SERVICE_UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT: grpc.StatusCode.DEADLINE_EXCEEDED,
}


class Guard(grpc.aio.ServerInterceptor):  # type: ignore[misc]
    """Asks every call for `authorization: Bearer <key>` in its metadata, and gives it a request id, as HTTP does."""

    def __init__(self, keys: Recent[str, ApiKey]) -> None:
        self._keys = keys

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
                    await self._admit(metadata.get("authorization", ""), SCOPES.get(method))
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

    async def _admit(self, authorization: str | bytes, scope: Scope | None) -> None:
        """Raises Unauthenticated, Forbidden."""
        kind, _, secret = str(authorization).partition(" ")
        if kind.lower() != "bearer" or not secret:
            raise Unauthenticated("send an API key in the metadata: authorization: Bearer <key>")
        key = await self._keys.get(secret)
        if scope is not None and not key.allows(scope):
            raise Forbidden(f"this key lacks the scope {scope!s}; use one that has it")
