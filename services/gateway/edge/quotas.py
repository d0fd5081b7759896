"""Quotas on requests: how many a minute and at once, and whether replica-seconds are left to predict with.

Each gateway counts for itself, in memory, so that a request costs no round trip: with n gateways, a project may have n
times as many.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from contract.access import Caller
from contract.errors import QuotaExceeded, TidepoolError
from contract.projects import Quotas
from services.gateway.edge.access import PROJECT_HEADER, Access
from services.gateway.edge.key_first import NEEDS_KEY, address_of, refuse
from services.gateway.edge.request_id import record
from services.gateway.edge.sessions import session_of
from services.gateway.edge.ttl_cache import TtlCache
from services.storage.access.quotas import require_replica_seconds

MINUTE_S = 60.0
RETRY_AT_ONCE_S = 1

_PROJECT = PROJECT_HEADER.lower().encode()


class RequestQuotas:
    """The requests of projects that have quotas, in this gateway; for one thread."""

    def __init__(self, used_seconds: Callable[[str], float], clock: Callable[[], float] = time.monotonic) -> None:
        """`used_seconds` reads from the database, in a thread, the replica-seconds that a project used this month."""
        self._projects: dict[str, _Requests] = {}
        self._used_seconds: TtlCache[str, float] = TtlCache(used_seconds)
        self._clock = clock

    def enter(self, caller: Caller) -> Callable[[], None]:
        """Count a request; return the function to call at its end, once. Raises QuotaExceeded."""
        requests = self._projects.get(caller.project)
        if requests is None:
            requests = self._projects[caller.project] = _Requests(self._clock())
        requests.enter(caller.quotas or Quotas(), self._clock())
        return requests.leave

    @contextmanager
    def counted(self, caller: Caller) -> Iterator[None]:
        """Count a request during the block; raises QuotaExceeded."""
        leave = self.enter(caller)
        try:
            yield
        finally:
            leave()

    async def require_seconds(self, caller: Caller) -> None:
        """Raise QuotaExceeded if the project has used up its replica-seconds of this month."""
        if caller.quotas is not None and caller.quotas.replica_seconds_per_month is not None:
            used = await self._used_seconds.get(caller.project)
            require_replica_seconds(caller.quotas, used, datetime.now(UTC))

    def forget(self) -> None:
        """Read the used replica-seconds again."""
        self._used_seconds.forget()

    def knows_seconds(self, caller: Caller) -> bool:
        """Return whether `check_seconds` can be called: the project has no such quota, or its use is cached."""
        quotas = caller.quotas
        if quotas is None or quotas.replica_seconds_per_month is None:
            return True
        return self._used_seconds.peek(caller.project) is not None

    def check_seconds(self, caller: Caller) -> None:
        """Like `require_seconds`, from the cache; what is not cached counts as nothing."""
        if caller.quotas is not None and caller.quotas.replica_seconds_per_month is not None:
            used = self._used_seconds.peek(caller.project) or 0.0
            require_replica_seconds(caller.quotas, used, datetime.now(UTC))


class _Requests:
    """The requests of one project: a token bucket that holds those of a minute, and how many are in progress."""

    def __init__(self, now: float) -> None:
        self._spent = 0.0  # tokens that are missing in the bucket
        self._at = now
        self._at_once = 0

    def enter(self, quotas: Quotas, now: float) -> None:
        """Take a token, if the quotas permit one more request; raises QuotaExceeded."""
        at_once, per_minute = quotas.requests_at_once, quotas.requests_per_minute
        if at_once is not None and self._at_once >= at_once:
            raise QuotaExceeded(
                f"the project's quota requests_at_once is {at_once}, and as many are in progress; try again soon",
                "requests_at_once",
                RETRY_AT_ONCE_S,
            )
        if per_minute is not None:
            rate = per_minute / MINUTE_S
            self._spent, self._at = max(0.0, self._spent - (now - self._at) * rate), now
            if self._spent > per_minute - 1:
                raise QuotaExceeded(
                    f"the project's quota requests_per_minute is {per_minute}, and it is used up; try again later",
                    "requests_per_minute",
                    max(1, math.ceil((self._spent - per_minute + 1) / rate)),
                )
            self._spent += 1
        self._at_once += 1

    def leave(self) -> None:
        self._at_once -= 1


class QuotaGate:
    """ASGI middleware that counts the requests of projects with quotas, and answers 429 to one over them.

    It comes before the body is read, and counts a request until its answer has been sent. Errors in the key or
    the session are left to the endpoint.
    """

    def __init__(self, app: ASGIApp, access: Access, quotas: RequestQuotas) -> None:
        self._app = app
        self._access = access
        self._quotas = quotas

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = await self._caller(scope) if scope["type"] == "http" and NEEDS_KEY.fullmatch(scope["path"]) else None
        if caller is None or caller.quotas is None:
            await self._app(scope, receive, send)
            return
        since = time.perf_counter()
        try:
            leave = self._quotas.enter(caller)
        except QuotaExceeded as error:
            await refuse(error, scope, receive, send)
            record(scope["method"], "unknown", error.status, time.perf_counter() - since)
            return
        try:
            await self._app(scope, receive, send)
        finally:
            leave()

    async def _caller(self, scope: Scope) -> Caller | None:
        first = dict(reversed(scope["headers"]))  # of several headers with a name, endpoints read the first as well
        header, project = first.get(b"authorization"), first.get(_PROJECT)
        if header is None and b"cookie" not in first:
            return None
        name = None if project is None else project.decode("latin-1")
        try:
            session = "" if header is not None else session_of(Headers(scope=scope), scope["method"])
            return await self._access.authenticate(header, project=name, address=address_of(scope), session=session)
        except TidepoolError:
            return None
