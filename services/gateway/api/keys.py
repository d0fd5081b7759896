"""/v1/me and /v1/keys: API keys."""

from typing import Annotated

from fastapi import APIRouter, Path

from contract.access import SCOPES_OF, ApiKey, NewApiKey, NewKeyRequest
from contract.base import Frozen
from contract.errors import Forbidden
from services.gateway.api.idempotency import CanRepeat
from services.gateway.dependencies import MAY_MANAGE, BackendsDep, CallerDep, StoresDep
from services.gateway.edge.problems import documented

router = APIRouter(prefix="/v1", tags=["keys"])


class KeyList(Frozen):
    items: tuple[ApiKey, ...]
    next: None = None


@router.get("/me", responses=documented())
def me(caller: CallerDep) -> ApiKey:
    """The key that this request was sent with."""
    return caller.key


@router.get("/keys", dependencies=MAY_MANAGE, responses=documented())
def list_keys(stores: StoresDep) -> KeyList:
    """Every key, without its secret."""
    return KeyList(items=stores.keys.list())


@router.post("/keys", status_code=201, dependencies=MAY_MANAGE, responses=documented(409, 413, 415))
def create_key(
    request: NewKeyRequest, backends: BackendsDep, stores: StoresDep, caller: CallerDep, repeat: CanRepeat
) -> NewApiKey:
    """Create a key, with at most the scopes of the key that asks.

    Only this response has its secret, so a repetition with the same Idempotency-Key gets a 409.
    """
    scopes = request.scopes if request.role is None else SCOPES_OF[request.role]
    if lacking := caller.lacks(scopes):
        raise Forbidden(f"this key lacks the scope {lacking[0]!s}, so it cannot give it to another key")
    expiry = [] if request.expires_at is None else [request.expires_at.isoformat()]
    access = request.role or request.scopes
    once = repeat.once(request.name, *sorted(request.scopes), *filter(None, [request.role]), *expiry, *request.origins)
    key = stores.keys.create(request.name, access, once=once, expires_at=request.expires_at, origins=request.origins)
    backends.origins.forget()
    return key


@router.delete("/keys/{key_id}", status_code=204, dependencies=MAY_MANAGE, responses=documented(404))
def delete_key(
    key_id: Annotated[str, Path(max_length=64)], backends: BackendsDep, stores: StoresDep, caller: CallerDep
) -> None:
    """Revoke a key: at once on this gateway, within a second on others, also for requests in progress."""
    stores.keys.delete(key_id, caller)
    backends.access.forget()
