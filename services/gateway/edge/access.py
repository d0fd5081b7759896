"""Authentication and scopes for every interface of the gateway: REST, the fast path, and OIP over HTTP and gRPC."""

from collections.abc import Callable

from contract.access import ApiKey, Caller, Scope
from contract.errors import Forbidden, Unauthenticated
from services.gateway.edge.ttl_cache import TtlCache


class Access:
    """Finds the caller of a request by its `Authorization` header; keys are cached by their secrets."""

    def __init__(self, find_key: Callable[[str], ApiKey]) -> None:
        """`find_key` reads the database in a thread; it raises Unauthenticated for an unknown secret."""
        self._callers: TtlCache[str, Caller] = TtlCache(lambda secret: Caller(find_key(secret)))

    async def authenticate(self, header: bytes | str | None, scope: Scope | None = None) -> Caller:
        """Return the caller; raises Unauthenticated, and Forbidden if the key lacks the scope."""
        secret = _secret(header)
        if not secret:
            raise Unauthenticated("send an API key: Authorization: Bearer <key>")
        caller = await self._callers.get(secret)
        if scope is not None:
            require(caller, scope)
        return caller

    def peek(self, header: bytes | str | None, scope: Scope) -> Caller | None:
        """Return the caller if its key is cached and has the scope, without waiting for the database."""
        caller = self._callers.peek(_secret(header))
        return caller if caller is not None and caller.allows(scope) else None

    def forget(self) -> None:
        """Drop all cached keys; call it after one was revoked."""
        self._callers.forget()


def require(caller: Caller, scope: Scope) -> None:
    """Raise Forbidden if the caller's key lacks the scope."""
    if not caller.allows(scope):
        raise Forbidden(f"this key lacks the scope {scope!s}; use one that has it")


def _secret(header: bytes | str | None) -> str:
    """Return the token of a `Bearer` header, "" for any other; the scheme's case does not matter."""
    text = header.decode("latin-1") if isinstance(header, bytes) else header or ""
    scheme, _, secret = text.partition(" ")
    return secret.strip() if scheme.lower() == "bearer" else ""
