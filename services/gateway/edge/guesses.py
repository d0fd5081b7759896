"""Bounds what unknown API keys cost: each is a read of the database."""

import ipaddress
import time
from typing import TypeVar

from contract.errors import TooManyRequests, Unauthenticated

MAX_LENGTH = 256  # of a secret
MAX_ENTRIES = 10_000
REFUSED_S = 1.0  # an unknown key is not looked up again for this time
BURST = 50  # unknown keys from one address
PER_S = 5.0  # further ones

K = TypeVar("K")
V = TypeVar("V")


class Guesses:
    """Remembers unknown keys for a second, and limits how many different ones an address may try.

    Keys that were valid lately are not limited, so the other clients behind a proxy keep their access.
    """

    def __init__(self) -> None:
        self._refused: dict[str, tuple[float, str]] = {}
        self._valid: dict[str, None] = {}
        self._spent: dict[str, tuple[float, float]] = {}  # by address: how many, and when that was

    def admit(self, secret: str, address: str) -> bool:
        """Allow a lookup; return whether it counts.

        Raises Unauthenticated for a key that was refused lately, and TooManyRequests over the limit.
        """
        if len(secret) > MAX_LENGTH:
            raise Unauthenticated("the API key is not valid")
        until, message = self._refused.get(secret, (0.0, ""))
        if time.monotonic() < until:
            raise Unauthenticated(message)
        if secret in self._valid:
            return False
        spent = self._spent_by(address)
        if spent > BURST - 1:
            raise TooManyRequests("too many unknown API keys came from this address; try again soon")
        _bounded(self._spent)[_network(address)] = (spent + 1, time.monotonic())
        return True

    def accept(self, secret: str) -> None:
        """Note that a key is valid."""
        if secret not in self._valid:
            _bounded(self._valid)[secret] = None

    def refund(self, address: str) -> None:
        """Take back the count of an admitted key that proved valid, or that could not be looked up."""
        self._spent[_network(address)] = (max(0.0, self._spent_by(address) - 1), time.monotonic())

    def reject(self, secret: str, message: str) -> None:
        """Note that an admitted key is not valid."""
        self._valid.pop(secret, None)
        _bounded(self._refused)[secret] = (time.monotonic() + REFUSED_S, message)

    def forget(self) -> None:
        """Look all keys up again."""
        self._refused.clear()

    def _spent_by(self, address: str) -> float:
        spent, since = self._spent.get(_network(address), (0.0, 0.0))
        return max(0.0, spent - (time.monotonic() - since) * PER_S)


def _bounded(entries: dict[K, V]) -> dict[K, V]:
    """Return the entries with room for one more."""
    if len(entries) >= MAX_ENTRIES:
        entries.clear()
    return entries


def _network(address: str) -> str:
    """Return what one client can choose its address from: the /64 of an IPv6 address."""
    if ":" not in address:
        return address
    try:
        return str(ipaddress.ip_network((address.partition("%")[0], 64), strict=False))
    except ValueError:
        return address
