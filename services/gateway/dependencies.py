"""What endpoints are given: the backends, and the key that allows the request."""

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

from fastapi import Depends, Path, Query, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from contract.base import NAME_PATTERN
from contract.errors import Forbidden, Unauthenticated
from contract.keys import ApiKey, Scope
from services.gateway.edge.recent import Recent
from services.gateway.edge.submit_limit import Submits
from services.gateway.serving.dataplane import DataPlane
from services.gateway.serving.predictor import Predictor
from services.gateway.settings import GatewaySettings
from services.storage.jobs.jobs import Jobs
from services.storage.pools.demand import Demand
from services.storage.stores import Stores


@dataclass(frozen=True)
class Backends:
    """Everything behind the gateway, made in its composition root."""

    settings: GatewaySettings
    stores: Stores
    predictor: Predictor
    demand: Demand

    @property
    def jobs(self) -> Jobs:
        """The clients' jobs, with the bound on how many may wait."""
        return Jobs(self.stores.database, self.settings.max_queued_jobs)

    @cached_property
    def keys(self) -> Recent[str, ApiKey]:
        """API keys by their secrets, so that no request waits for the database just to be let in."""
        return Recent(self.stores.keys.authenticate)

    @cached_property
    def submits(self) -> Submits:
        """The submits that this gateway has taken."""
        return Submits(self.settings)

    @cached_property
    def plane(self) -> DataPlane:
        """The models through the Open Inference Protocol."""
        return DataPlane(self.stores.models, self.predictor.asker, self.settings.predict_timeout_s)

    def forget_models(self) -> None:
        """A version or an alias has changed."""
        self.predictor.forget()
        self.plane.forget()


async def backends(request: Request) -> Backends:  # here and below: what is not async costs a turn of a thread
    found: Backends = request.app.state.backends
    return found


_bearer = HTTPBearer(auto_error=False, description="An API key: `Authorization: Bearer tp_…`")


async def key(
    behind: Annotated[Backends, Depends(backends)],
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> ApiKey:
    """The key of the request; raises Unauthenticated."""
    if credentials is None:
        raise Unauthenticated("send an API key: Authorization: Bearer <key>")
    return await behind.keys.get(credentials.credentials)


class Needs:
    """A dependency that lets a request through only with a scope."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    async def __call__(self, found: Annotated[ApiKey, Depends(key)]) -> None:
        """Raises Forbidden."""
        if not found.allows(self._scope):
            raise Forbidden(f"this key lacks the scope {self._scope!s}; use one that has it")


Behind = Annotated[Backends, Depends(backends)]
Key = Annotated[ApiKey, Depends(key)]

MAY_READ = [Depends(Needs(Scope.READ))]
MAY_WRITE = [Depends(Needs(Scope.WRITE))]
MAY_PREDICT = [Depends(Needs(Scope.PREDICT))]
MAY_ADMIN = [Depends(Needs(Scope.ADMIN))]

NamePath = Annotated[str, Path(pattern=NAME_PATTERN)]
VersionPath = Annotated[int, Path(ge=1, le=2**31 - 1)]
Limit = Annotated[int, Query(ge=1, le=200)]
Cursor = Annotated[str | None, Query(max_length=64, description="`next` of the page before.")]
