"""Spreads the tests over the processes of pytest-xdist: the slowest come first, so that all processes end together.

Asynchronous tests run on asyncio.
"""

from collections import Counter
from typing import Any

import hypothesis
import pytest
from xdist.scheduler import LoadFileScheduling

FAULTS = "tests/faults/"
SHARED_STACK = tuple(f"tests/e2e/test_{name}.py" for name in ("command_line", "notebook", "workflow"))
SLOWEST = (
    FAULTS,
    "tests/e2e/",
    "tests/console/",
    "tests/unit/trainer/",
    "tests/integration/",
    "tests/fuzz/",
    "tests/unit/storage/",
    "tests/unit/gateway/oip/",
    "tests/unit/tidepool/simulate/",
    "tests/unit/inference/",
)

# How long an example takes depends on what else the machine does.
hypothesis.settings.register_profile("tests", deadline=None)
hypothesis.settings.load_profile("tests")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Scheduling(LoadFileScheduling):
    """Gives a process the next file; files that share a cluster or a stack are one unit."""

    def _split_scope(self, nodeid: str) -> str:
        shared = (prefixes for prefixes in ((FAULTS,), SHARED_STACK) if nodeid.startswith(prefixes))
        return next(shared, (super()._split_scope(nodeid),))[0]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduling | None:
    """Keep the order of the collection, unless another `--dist` than `loadfile` is chosen."""
    if config.option.dist != "loadfile":
        return None
    config.option.loadscopereorder = False
    return Scheduling(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if hasattr(item, "operation_label"):  # by schemathesis, which leaves the operation out of the id
            item._id = item.parent.id.child(item.name)  # type: ignore[attr-defined, union-attr]
    counts = Counter(item.nodeid for item in items)
    if repeated := [nodeid for nodeid, count in counts.items() if count > 1]:  # pytest-xdist runs only one of them
        raise pytest.UsageError(f"several tests have the same id: {', '.join(repeated)}")
    items.sort(key=lambda item: next((rank for rank, place in enumerate(SLOWEST) if item.nodeid.startswith(place)), 99))
