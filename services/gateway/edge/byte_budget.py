"""Budgets of bytes: how much the requests in flight may hold together."""

from collections.abc import Iterator
from contextlib import contextmanager

from contract.errors import Overloaded
from services.gateway.settings import GatewaySettings

FREE = 1 << 16  # bytes; a smaller body is not counted, because the buffers of its connection hold as much anyway
DOCUMENTS = 64  # JSON bodies of the largest size that may be in memory


class ByteBudget:
    """Bounds the bytes that are held at once; for one thread.

    Sizes above 1/256 of the limit may take three quarters of it, so that large requests leave room for small ones.
    """

    __slots__ = ("_held", "_held_by_large", "_limit", "_small", "largest")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._small = limit // 256
        self.largest = limit - limit // 4
        """The largest size that can ever be taken."""
        self._held = 0
        self._held_by_large = 0

    @property
    def held(self) -> int:
        """The bytes that are held now."""
        return self._held

    @property
    def limit(self) -> int:
        """The most bytes that can be held."""
        return self._limit

    def is_small(self, size: int) -> bool:
        """Return whether the whole limit is open to a size."""
        return size <= self._small

    def take(self, size: int) -> bool:
        """Hold this many bytes more; False, without any effect, if there is no room for them."""
        if self._held + size > self._limit:
            return False
        if size > self._small:
            if self._held_by_large + size > self.largest:
                return False
            self._held_by_large += size
        self._held += size
        return True

    def give(self, size: int) -> None:
        """Give back what was taken with this size."""
        self._held -= size
        if size > self._small:
            self._held_by_large -= size


class Hold:
    """The bytes that one request holds of a budget."""

    __slots__ = ("_budget", "_size")

    def __init__(self, budget: ByteBudget) -> None:
        self._budget = budget
        self._size = 0

    def grow_to(self, size: int) -> None:
        """Hold this many bytes, if that is more than before; raises Overloaded if there is no room for them."""
        if size <= self._size or size <= FREE:
            return
        before = self._size
        self._budget.give(before)
        if not self._budget.take(size):
            self._budget.take(before)
            raise Overloaded("too many bytes are being received already; try again soon")
        self._size = size

    def release(self) -> None:
        """Give all bytes back; harmless if there are none."""
        self._budget.give(self._size)
        self._size = 0


class BodyBudgets:
    """The budgets of the request bodies in this gateway."""

    def __init__(self, settings: GatewaySettings) -> None:
        self.predictions = ByteBudget(settings.body_bytes_in_flight)
        self.uploads = ByteBudget(settings.upload_bytes_in_flight)
        self.documents = ByteBudget(DOCUMENTS * settings.max_json_bytes)


@contextmanager
def holding(budget: ByteBudget) -> Iterator[Hold]:
    """Yield a hold on a budget; it is released at the end of the block."""
    hold = Hold(budget)
    try:
        yield hold
    finally:
        hold.release()
