"""The registered job kinds. The modules of `contract.kinds` are imported when a kind is first looked up."""

import functools
import importlib
import pkgutil

from contract import kinds
from contract.kinds.kind import STORAGE, Kind
from contract.pools import POOL_NAMES

_KINDS: dict[str, Kind] = {}


def register(kind: Kind) -> None:
    """Add a kind; raises ValueError if another one has its name."""
    if _KINDS.setdefault(kind.name, kind) != kind:
        raise ValueError(f"there are two job kinds named {kind.name}")


def unregister(name: str) -> None:
    """Remove a kind that a test has registered."""
    del _KINDS[name]


def all_kinds() -> tuple[Kind, ...]:
    """Every kind, in the order of the pools, then by name; the storage process's own come last."""
    _discover()
    order = (*POOL_NAMES, STORAGE)
    return tuple(sorted(_KINDS.values(), key=lambda kind: (order.index(kind.pool), kind.name)))


def find_kind(name: str) -> Kind | None:
    _discover()
    return _KINDS.get(name)


@functools.cache
def _discover() -> None:
    for module in pkgutil.iter_modules(kinds.__path__, f"{kinds.__name__}."):
        importlib.import_module(module.name)
