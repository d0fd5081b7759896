"""The origins whose pages may call the API: those of the setting, and those that API keys are bound to."""

from collections.abc import Callable, Iterable
from contextlib import suppress

from contract.errors import TidepoolError
from services.gateway.edge.ttl_cache import TtlCache


class Origins:
    """A set of origins; those of keys are read again when a request names an origin that is not in the setting.

    A preflight has no key, so any origin that some key names may call. What a page may do then depends on its key.
    """

    def __init__(self, listed: Iterable[str], find: Callable[[], frozenset[str]]) -> None:
        """`find` reads the origins of keys from the database."""
        self._listed = frozenset(listed)
        self._of_keys: frozenset[str] = frozenset()
        self._reads: TtlCache[None, frozenset[str]] = TtlCache(lambda _: find())

    def __contains__(self, origin: object) -> bool:
        return origin in self._listed or origin in self._of_keys

    def __bool__(self) -> bool:
        return bool(self._listed or self._of_keys)

    async def refresh(self, origin: str) -> None:
        """Read the origins of keys unless that was done within the last second, or this one is in the setting."""
        if origin not in self._listed:
            with suppress(TidepoolError):  # in an outage, those that were read before
                self._of_keys = await self._reads.get(None)

    def forget(self) -> None:
        """Read the origins again with the next request; call it after a key was created."""
        self._reads.forget()
