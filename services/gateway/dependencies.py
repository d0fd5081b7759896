"""The dependencies of endpoints: the backends, the caller, and the stores of the caller's project."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Annotated

import structlog
from anyio import CapacityLimiter
from fastapi import Depends, Path, Query, Request
from fastapi.security import HTTPBearer
from pydantic import AfterValidator

from contract.access import Caller, Scope
from contract.base import NAME_PATTERN
from contract.drift import DriftAlarm
from contract.errors import TidepoolError
from services.gateway.diagnosis.diagnosis import Diagnosis
from services.gateway.edge.access import PROJECT_HEADER, Access, require
from services.gateway.edge.byte_budget import BodyBudgets
from services.gateway.edge.certificate import Certificate, certificate_of
from services.gateway.edge.key_first import address_of
from services.gateway.edge.origins import Origins
from services.gateway.edge.query import check_query
from services.gateway.edge.quotas import RequestQuotas
from services.gateway.edge.request_id import current_request_id
from services.gateway.edge.sessions import session_of
from services.gateway.edge.submit_limit import Submits
from services.gateway.edge.ttl_cache import TtlCache
from services.gateway.edge.watches import Watches
from services.gateway.images.index_cache import IndexCache
from services.gateway.serving.dataplane import DataPlane
from services.gateway.serving.predictor import Predictor
from services.gateway.settings import GatewaySettings
from services.storage.access.audit import Actor
from services.storage.pools.demand import Demand
from services.storage.stores import ProjectStores, Stores

IMAGES_AT_ONCE = 8  # images of datasets read at the same time; each may take 64 MiB
ALARMS_S = 60.0  # for which a judgement of drift is kept


@dataclass(frozen=True)
class Backends:
    """The services that the gateway uses, made in its composition root."""

    settings: GatewaySettings
    stores: Stores
    predictor: Predictor
    demand: Demand

    @cached_property
    def access(self) -> Access:
        """Authentication by API key or browser session."""
        stores = self.stores
        return Access(stores.keys.caller, stores.keys.note_use, stores.projects.get, stores.sessions.find)

    @cached_property
    def quotas(self) -> RequestQuotas:
        """The requests in this gateway of projects that have quotas."""
        return RequestQuotas(self.stores.ledger.used_this_month)

    @cached_property
    def origins(self) -> Origins:
        """The origins whose pages may call the API."""
        return Origins(self.settings.cors_origins, self.stores.keys.origins)

    @cached_property
    def certificate(self) -> Certificate | None:
        """The certificate for HTTPS and gRPC, None without TLS; raises BadCertificate."""
        return certificate_of(self.settings.tls_cert, self.settings.tls_key)

    @cached_property
    def submits(self) -> Submits:
        """The submits in progress in this gateway."""
        return Submits(self.settings)

    @cached_property
    def watches(self) -> Watches:
        """The jobs that requests follow."""
        return Watches(self.settings.max_streams)

    @cached_property
    def bodies(self) -> BodyBudgets:
        """The bytes of the request bodies in this gateway."""
        return BodyBudgets(self.settings)

    @cached_property
    def plane(self) -> DataPlane:
        """The models through the Open Inference Protocol."""
        return DataPlane(self.stores, self.predictor.inference, self.settings.predict_timeout_s)

    @cached_property
    def diagnosis(self) -> Diagnosis:
        """Makes the health report of the deployment."""
        return Diagnosis(self.stores, self.demand, self.predictor.inference)

    @cached_property
    def indexes(self) -> IndexCache:
        """The indexes of datasets' images, on disk."""
        return IndexCache(self.stores.objects, self.settings.index_cache_bytes)

    @cached_property
    def image_limiter(self) -> CapacityLimiter:
        """The threads that read images and indexes of datasets, each of which takes much memory."""
        return CapacityLimiter(IMAGES_AT_ONCE)

    @cached_property
    def answering(self) -> TtlCache[str, bool]:
        """Whether the `database` and the `objects` store answer: asked at most once a second, in threads of its own.

        The database does, or DatabaseUnavailable is raised.
        """
        return TtlCache(self._ping, CapacityLimiter(2))

    @cached_property
    def drift_alarms(self) -> TtlCache[str, tuple[DriftAlarm, ...]]:
        """The drift alarms by project, for the console: a minute old at most, judged in threads of its own."""
        return TtlCache(lambda project: self.stores.of(project).drift.alarms(), CapacityLimiter(2), ALARMS_S)

    def _ping(self, server: str) -> bool:
        if server == "database":
            self.stores.database.ping()
            return True
        try:
            self.stores.objects.ping()
        except TidepoolError:
            return False
        return True

    def stores_of(self, caller: Caller) -> ProjectStores:
        """Return the stores of the caller's project, with the limit on queued jobs.

        The audit trail names the caller's key and the current request.
        """
        actor = Actor(caller.key_id, caller.key.name, current_request_id(), caller.project)
        return self.stores.of(caller.project, self.settings.max_queued_jobs, actor, caller.quotas)

    def forget_models(self) -> None:
        """Drop cached versions, aliases and their drift alarms; call it after one has changed."""
        self.predictor.forget()
        self.plane.forget()
        self.drift_alarms.forget()


# These are async because FastAPI runs other dependencies in a thread, which costs a switch for each.


async def get_backends(request: Request) -> Backends:
    backends: Backends = request.app.state.backends
    return backends


BackendsDep = Annotated[Backends, Depends(get_backends)]

# Only documents the header; `Access` reads it.
_bearer = HTTPBearer(auto_error=False, description="An API key: `Authorization: Bearer tp_…`")


async def get_caller(request: Request, backends: BackendsDep, _: Annotated[object, Depends(_bearer)]) -> Caller:
    """Return the caller of the request, in the project of its key, or in the one that an instance's admin names.

    Raises Unauthenticated, Forbidden, NotFound for an unknown project, and RequestValidationError for unknown
    parameters.
    """
    headers = request.headers
    caller = await backends.access.authenticate(
        headers.get("authorization"),
        project=headers.get(PROJECT_HEADER),
        address=address_of(request.scope),
        session=session_of(headers, request.method),
        origin=headers.get("origin"),
    )
    structlog.contextvars.bind_contextvars(project=caller.project)  # of the log lines of this request
    check_query(request)
    return caller


CallerDep = Annotated[Caller, Depends(get_caller)]

Recheck = Callable[[], Awaitable[None]]


async def get_recheck(request: Request, backends: BackendsDep, _: CallerDep) -> Recheck:
    """Return the function that raises Unauthenticated once the key has ended, for responses that take long."""
    session = session_of(request.headers, request.method)
    return partial(backends.access.recheck, request.headers.get("authorization"), session)


RecheckDep = Annotated[Recheck, Depends(get_recheck)]


async def get_stores(backends: BackendsDep, caller: CallerDep) -> ProjectStores:
    """Return the stores of the caller's project."""
    return backends.stores_of(caller)


StoresDep = Annotated[ProjectStores, Depends(get_stores)]


class Needs:
    """A dependency that raises Forbidden if the caller's key lacks a scope.

    Predictions also need replica-seconds of the project's quota, what is `free` does not; it raises QuotaExceeded if
    there are none.
    """

    def __init__(self, scope: Scope, *, free: bool = False) -> None:
        self._scope = scope
        self._free = free

    async def __call__(self, caller: CallerDep, backends: BackendsDep) -> None:
        require(caller, self._scope)
        if caller.quotas is not None and self._scope is Scope.PREDICT and not self._free:
            await backends.quotas.require_seconds(caller)


MAY_READ = [Depends(Needs(Scope.READ))]
MAY_WRITE = [Depends(Needs(Scope.WRITE))]
MAY_REVIEW = [Depends(Needs(Scope.REVIEW))]
MAY_PREDICT = [Depends(Needs(Scope.PREDICT))]
MAY_GIVE_FEEDBACK = [Depends(Needs(Scope.PREDICT, free=True))]
MAY_MANAGE = [Depends(Needs(Scope.MANAGE))]
MAY_ADMIN = [Depends(Needs(Scope.ADMIN))]

NamePath = Annotated[str, Path(pattern=NAME_PATTERN)]
NameQuery = Annotated[str | None, Query(pattern=NAME_PATTERN)]
VersionPath = Annotated[int, Path(ge=1, le=2**31 - 1)]
Limit = Annotated[int, Query(ge=1, le=200)]
Cursor = Annotated[
    str | None,
    Query(max_length=64, description="`next` of the previous page; an empty one is the first page."),
    AfterValidator(lambda cursor: cursor or None),
]
