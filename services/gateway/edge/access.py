"""Authentication and scopes for every interface of the gateway: REST, the fast path, and OIP over HTTP and gRPC."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from anyio import CapacityLimiter

from contract.access import Caller, Scope
from contract.errors import Forbidden, TidepoolError, Unauthenticated
from contract.projects import Project, Quotas
from services.gateway.edge.guesses import Guesses
from services.gateway.edge.ttl_cache import TtlCache
from services.storage.access.sessions import PREFIX as SESSION_PREFIX

LOOKUPS_AT_ONCE = 4  # in threads of their own: those of the endpoints stay free
PROJECT_HEADER = "Tidepool-Project"
NOTE_EVERY_S = 60.0
MAX_NOTED = 10_000


class Access:
    """Finds the caller of a request by its `Authorization` header or browser session; both are cached for a second."""

    def __init__(
        self,
        find_caller: Callable[[str], Caller],
        note_use: Callable[[str], None],
        find_project: Callable[[str], Project],
        find_session: Callable[[str], Caller],
    ) -> None:
        """`find_caller` reads the database in a thread; it raises Unauthenticated for an unknown or expired secret.

        `note_use` gets the id of a key that is in use, at most once a minute. `find_project` raises NotFound.
        `find_session` is to the tokens of sessions what `find_caller` is to secrets.
        """
        self._find_caller = find_caller
        self._find_session = find_session
        self._uses = Uses(note_use)
        self._callers: TtlCache[str, Caller] = TtlCache(self._find, CapacityLimiter(LOOKUPS_AT_ONCE))
        self._guesses = Guesses()
        self._projects: TtlCache[str, Project] = TtlCache(find_project)

    async def authenticate(
        self,
        header: bytes | str | None,
        scope: Scope | None = None,
        project: str | None = None,
        address: str = "",
        session: str = "",
        origin: str | None = None,
    ) -> Caller:
        """Return the caller, in the project of its key, or in `project` if its key is of an instance's admin.

        `session` is the token of a browser session, for a request without the header; `origin` that of the page which
        sends the request. Raises Unauthenticated, Forbidden if the key lacks the scope, may not name the project, or
        may not be used by the page, NotFound, and TooManyRequests if too many unknown keys came from the client's
        `address`.
        """
        secret = _secret(header) or session
        if not secret:
            raise Unauthenticated("send an API key: Authorization: Bearer <key>")
        caller = self._callers.peek(secret) or await self._look_up(secret, address)
        require_origin(caller, origin)
        if scope is not None:
            require(caller, scope)
        return caller if project is None else await self._in_project(caller, project)

    def peek(self, header: bytes | str | None, scope: Scope, origin: bytes | None = None) -> Caller | None:
        """Return the caller if its key is cached, has the scope and may be used, without waiting for the database."""
        caller = self._callers.peek(_secret(header))
        if caller is None or not caller.allows(scope):
            return None
        origins = caller.key.origins
        return None if origins and origin is not None and origin.decode("latin-1") not in origins else caller

    async def recheck(self, header: bytes | str | None, session: str = "") -> None:
        """Raise Unauthenticated if the key of a request in progress has ended.

        Reads the database; concurrent requests with the key share one read.
        """
        await self._callers.read_again(_secret(header) or session)

    def forget(self) -> None:
        """Drop all cached keys and projects; call it after one was revoked, deleted or changed."""
        self._callers.forget()
        self._guesses.forget()
        self._projects.forget()

    async def _look_up(self, secret: str, address: str) -> Caller:
        counted = not self._callers.reading(secret) and self._guesses.admit(secret, address)
        try:
            caller = await self._callers.get(secret)
        except Unauthenticated as error:
            self._guesses.reject(secret, error.message)
            raise
        except TidepoolError:
            if counted:
                self._guesses.refund(address)
            raise
        if counted:
            self._guesses.refund(address)
        self._guesses.accept(secret)
        return caller

    async def _in_project(self, caller: Caller, project: str) -> Caller:
        if project == caller.project:
            return caller
        if not caller.allows(Scope.ADMIN):
            raise Forbidden(
                f"this key belongs to the project {caller.project}; leave out the header {PROJECT_HEADER}, or use a "
                "key of the instance's admin"
            )
        named = await self._projects.get(project)
        return Caller(caller.key, named.name, named.quotas if named.quotas != Quotas() else None)

    def _find(self, secret: str) -> Caller:
        find = self._find_session if secret.startswith(SESSION_PREFIX) else self._find_caller
        caller = find(secret)
        self._uses.note(caller.key_id)
        return caller


class Uses:
    """Writes when keys were last used, in a thread of its own, so that no request waits for it."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._noted: dict[str, float] = {}
        self._thread = ThreadPoolExecutor(1, "key-uses")

    def note(self, key_id: str) -> None:
        """Have the use of a key written, unless that was done less than a minute ago."""
        now = time.monotonic()
        if now < self._noted.get(key_id, 0.0):
            return
        if len(self._noted) >= MAX_NOTED:
            self._noted.clear()
        self._noted[key_id] = now + NOTE_EVERY_S
        self._thread.submit(self._try_to_write, key_id)

    def _try_to_write(self, key_id: str) -> None:
        with suppress(TidepoolError):  # in an outage; the use of the next minute is written again
            self._write(key_id)


def require(caller: Caller, scope: Scope) -> None:
    """Raise Forbidden if the caller's key lacks the scope."""
    if not caller.allows(scope):
        raise Forbidden(f"this key lacks the scope {scope!s}; use one that has it")


def require_origin(caller: Caller, origin: str | None) -> None:
    """Raise Forbidden if the caller's key is bound to other origins than that of the page which sent a request."""
    if origin is not None and caller.key.origins and origin not in caller.key.origins:
        raise Forbidden("this key may not be used by pages of this origin; make a key whose `origins` name it")


def _secret(header: bytes | str | None) -> str:
    """Return the key of a `Bearer` header, "" for any other; the scheme's case does not matter.

    A session's token is no key: it only counts in its cookie.
    """
    text = header.decode("latin-1") if isinstance(header, bytes) else header or ""
    scheme, _, secret = text.partition(" ")
    secret = secret.strip()
    return secret if scheme.lower() == "bearer" and not secret.startswith(SESSION_PREFIX) else ""
