"""/v1/me and /v1/keys: API keys."""

from typing import Annotated

from fastapi import APIRouter, Path

from contract.access import ApiKey, NewApiKey, NewKeyRequest
from contract.base import Frozen
from services.gateway.api.idempotency import CanRepeat
from services.gateway.dependencies import MAY_ADMIN, BackendsDep, CallerDep
from services.gateway.edge.problems import documented

router = APIRouter(prefix="/v1", tags=["keys"])


class KeyList(Frozen):
    items: tuple[ApiKey, ...]
    next: None = None


@router.get("/me", responses=documented())
def me(caller: CallerDep) -> ApiKey:
    """The key that this request was sent with."""
    return caller.key


@router.get("/keys", dependencies=MAY_ADMIN, responses=documented())
def list_keys(backends: BackendsDep) -> KeyList:
    """Every key, without its secret."""
    return KeyList(items=backends.stores.keys.list())


@router.post("/keys", status_code=201, dependencies=MAY_ADMIN, responses=documented(409, 413, 415))
def create_key(request: NewKeyRequest, backends: BackendsDep, repeat: CanRepeat) -> NewApiKey:
    """Create a key. Only this response has its secret, so a repetition with the same Idempotency-Key gets a 409."""
    once = repeat.once(request.name, *sorted(request.scopes))
    return backends.stores.keys.create(request.name, request.scopes, once=once)


@router.delete("/keys/{key_id}", status_code=204, dependencies=MAY_ADMIN, responses=documented(404))
def delete_key(key_id: Annotated[str, Path(max_length=64)], backends: BackendsDep) -> None:
    """Revoke a key immediately."""
    backends.stores.keys.delete(key_id)
    backends.access.forget()
