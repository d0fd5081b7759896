"""Authentication, request ids, errors and metrics of gRPC calls."""

import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import grpc
import grpc.aio
import structlog
from prometheus_client import Histogram

from contract.access import Caller, Scope
from contract.errors import Overloaded, QuotaExceeded, TidepoolError
from contract.tracing import Span
from services.gateway.edge.access import PROJECT_HEADER, Access
from services.gateway.edge.problems import QUOTA_HEADER
from services.gateway.edge.quotas import RequestQuotas
from services.gateway.edge.request_id import named, request_id_of
from services.gateway.edge.traced_requests import TRACE_ID, traced_request
from services.gateway.oip.wire import bounded

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
    HTTPStatus.TOO_MANY_REQUESTS: grpc.StatusCode.RESOURCE_EXHAUSTED,
    HTTPStatus.INTERNAL_SERVER_ERROR: grpc.StatusCode.INTERNAL,
    HTTPStatus.SERVICE_UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT: grpc.StatusCode.DEADLINE_EXCEEDED,
}
_CALLER: ContextVar[Caller] = ContextVar("caller")


def current_project() -> str:
    """Return the project of the current call's caller."""
    return _CALLER.get().project


class Guard(grpc.aio.ServerInterceptor):  # type: ignore[misc]
    """Requires `authorization: Bearer <key>` in the metadata, except for health, and gives each call a request id.

    The key is checked before the message of a call is received.
    """

    def __init__(self, access: Access, quotas: RequestQuotas) -> None:
        self._access = access
        self._quotas = quotas

    async def intercept_service(self, continuation: Callable[[Any], Awaitable[Any]], handler_call_details: Any) -> Any:
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        metadata = dict(handler_call_details.invocation_metadata or ())
        request_id = request_id_of(str(metadata.get("x-request-id", "")).encode())
        method, traceparent = handler_call_details.method.rpartition("/")[2], metadata.get("traceparent")
        call = Call(method, request_id, traceparent if isinstance(traceparent, str) else None, time.perf_counter())
        try:
            caller = await self._caller_of(call.method, metadata)
        except Exception as error:  # noqa: BLE001  answered, and logged if it is unexpected
            return call.refused(error)

        async def unread(_: Any, context: Any) -> Any:
            return await call.answered(handler.unary_unary(None, context), context)

        if caller is None:
            return grpc.stream_unary_rpc_method_handler(unread, response_serializer=handler.response_serializer)

        async def guarded(request: Any, context: Any) -> Any:
            if isinstance(request, TidepoolError):
                return await call.answered(_raise(request), context)
            _CALLER.set(caller)
            structlog.contextvars.bind_contextvars(project=caller.project)
            answer = handler.unary_unary(request, context)
            if caller.quotas is not None:
                answer = self._within_quotas(answer, call.method, caller)
            return await call.answered(answer, context)

        return grpc.unary_unary_rpc_method_handler(
            guarded,
            request_deserializer=bounded(handler.request_deserializer),
            response_serializer=handler.response_serializer,
        )

    async def _within_quotas(self, answer: Coroutine[Any, Any, Any], method: str, caller: Caller) -> Any:
        """Return the answer; raises QuotaExceeded."""
        try:
            with self._quotas.counted(caller):
                if SCOPES.get(method) is Scope.PREDICT:
                    await self._quotas.require_seconds(caller)
                return await answer
        finally:
            answer.close()  # in case that it was not awaited

    async def _caller_of(self, method: str, metadata: Mapping[str, Any]) -> Caller | None:
        if method in WITHOUT_KEY:
            return None
        header, project = metadata.get("authorization"), metadata.get(PROJECT_HEADER.lower())
        return await self._access.authenticate(header, SCOPES.get(method), project, origin=metadata.get("origin"))


@dataclass(frozen=True, slots=True)
class Call:
    """A call that has begun."""

    method: str
    request_id: str
    traceparent: str | None
    started: float

    async def answered(self, answer: Awaitable[Any], context: Any) -> Any:
        """Return the answer; end the call with a status if there is an error."""
        with named(self.request_id), traced_request(self.method, self.traceparent) as span:
            return await self._answered(answer, context, span)

    async def _answered(self, answer: Awaitable[Any], context: Any, span: Span | None) -> Any:
        code = grpc.StatusCode.OK
        ids = [("x-request-id", self.request_id)]
        if span is not None:
            ids.append((TRACE_ID.decode(), span.context.trace_id))
        context.set_trailing_metadata(tuple(ids))
        try:
            return await answer
        except TidepoolError as error:
            if not isinstance(error, Overloaded) and error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                self._log(log.warning, error.code, error)
            if isinstance(error, QuotaExceeded):
                quota = ((QUOTA_HEADER.lower(), error.quota), ("retry-after", str(error.retry_after_s)))
                context.set_trailing_metadata((*ids, *quota))
            code = _CODES.get(HTTPStatus(error.status), grpc.StatusCode.INVALID_ARGUMENT)
            await context.abort(code, error.message)
        except Exception as error:  # noqa: BLE001  logged
            self._log(log.error, "internal", error)
            code = grpc.StatusCode.INTERNAL
            await context.abort(code, f"an internal error; the gateway's log has it under {self.request_id}")
        finally:
            SECONDS.labels(self.method, code.name).observe(time.perf_counter() - self.started)
            if span is not None:
                span.set({"rpc.system.name": "grpc", "rpc.method": self.method, "rpc.response.status_code": code.name})
                span.end("" if code is grpc.StatusCode.OK else code.name)

    def refused(self, error: Exception) -> Any:
        """Return a handler that ends the call with this error, without receiving its message."""

        async def refuse(_: Any, context: Any) -> Any:
            return await self.answered(_raise(error), context)

        return grpc.stream_unary_rpc_method_handler(refuse)  # one of unary calls would receive the message first

    def _log(self, write: Callable[..., Any], code: str, error: Exception) -> None:
        write("call failed", method=self.method, code=code, request_id=self.request_id, exc_info=error)


async def _raise(error: Exception) -> None:
    raise error
