"""/v1/me and /v1/keys"""

from typing import Annotated

from fastapi import APIRouter, Path

from contract.base import Frozen
from contract.keys import ApiKey, NewApiKey, NewKeyRequest
from services.gateway.api.idempotency import CanRepeat
from services.gateway.dependencies import MAY_ADMIN, Behind, Key
from services.gateway.edge.problems import documented

router = APIRouter(prefix="/v1", tags=["keys"])


class KeyList(Frozen):
    items: tuple[ApiKey, ...]
    next: None = None


@router.get("/me", responses=documented())
def me(key: Key) -> ApiKey:
    """The key that this request was sent with."""
    return key


@router.get("/keys", dependencies=MAY_ADMIN, responses=documented())
def list_keys(behind: Behind) -> KeyList:
    """Every key, without its secret."""
    return KeyList(items=behind.stores.keys.list())


@router.post("/keys", status_code=201, dependencies=MAY_ADMIN, responses=documented(409, 413, 415))
def create_key(request: NewKeyRequest, behind: Behind, repeat: CanRepeat) -> NewApiKey:
    """Make a key; its secret is in this answer only, so a repetition is answered 409."""
    once = repeat.once(request.name, *sorted(request.scopes))
    return behind.stores.keys.create(request.name, request.scopes, once=once)


@router.delete("/keys/{key_id}", status_code=204, dependencies=MAY_ADMIN, responses=documented(404))
def delete_key(key_id: Annotated[str, Path(max_length=64)], behind: Behind) -> None:
    """Revoke a key at once."""
    behind.stores.keys.delete(key_id)
    behind.keys.forget()
