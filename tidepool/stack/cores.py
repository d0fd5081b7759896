"""Cores of their own for gateways and inference replicas; everything else shares those that are left."""

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from tidepool.errors import StackFailed
from tidepool.stack.components import Component


def own_cores(gateways: int, replicas: int, each: int, cores: Collection[int]) -> "OwnCores":
    """Give each gateway a core, and each inference replica `each` of them; raises StackFailed if there are too few.

    `replicas` run at the start; those that are started later get cores of their own while a core is left for the rest.
    """
    needed = gateways + replicas * each + 1
    if needed > len(cores):
        raise StackFailed(
            f"--pin needs {needed} cores: one for each gateway ({gateways}), {each} for each inference replica "
            f"({replicas}), and one for the rest. This machine has {len(cores)}. Start fewer, or leave out --pin."
        )
    ordered = sorted(cores)
    places = (len(cores) - gateways - 1) // each
    taken = gateways + places * each
    return OwnCores(
        gateways=[(core,) for core in ordered[:gateways]],
        inference=[tuple(ordered[gateways + each * place :][:each]) for place in range(places)],
        rest=tuple(ordered[taken:]),
    )


class OwnCores:
    """Which cores each process may use, by its role and index."""

    def __init__(
        self, gateways: list[tuple[int, ...]], inference: list[tuple[int, ...]], rest: tuple[int, ...]
    ) -> None:
        self._own = {"gateway": gateways, "inference": inference}
        self._rest = rest

    def pinned(self, component: Component) -> Component:
        """Return the component with its cores; without any of its own, it shares the rest."""
        own = self._own.get(component.role, [])
        cores = own[component.index - 1] if component.index <= len(own) else self._rest
        return component.model_copy(update={"cores": cores})


@contextmanager
def confined_to(cores: Collection[int]) -> Iterator[None]:
    """Let processes that this thread starts in the block use these cores only, if any are named."""
    if not cores:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
