import io
import json

import pytest
from rich.console import Console

from contract.pools import Pool
from tidepool.cli.pools_table import pools_json, print_pools


def pool(mode: str, ready: int | None, waiting: int | None, created: int | None = None) -> Pool:
    return Pool.model_validate(
        {
            "name": "inference",
            "mode": mode,
            "replicas": {"desired": 3, "created": created, "ready": ready, "draining": ready, "min": 0, "max": 4},
            "queue": {"waiting": waiting, "running": 1, "oldest_s": 2.4},
            "policy": {"min": 0, "max": 4},
        }
    )


@pytest.mark.parametrize(
    ("row", "line"),
    [
        (pool("manual", 2, 5), "inference 3 2 2 5 1 2 s manual"),
        (pool("auto", None, None), "inference 3 ? ? ? 1 2 s auto 0..4"),
        (pool("auto", 2, 9, created=3), "inference 3 2 2 9 1 2 s auto 0..4"),
        (pool("auto", 2, 9, created=2), "inference 3 2 2 9 1 2 s auto 0..4, only 2 created"),
    ],
    ids=["manual", "auto", "enough created", "too few created"],
)
def test_each_pool_is_a_line(row: Pool, line: str) -> None:
    console = Console(file=io.StringIO(), width=120)

    print_pools(console, (row,))

    head, text = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert head.split()[:3] == ["pool", "desired", "ready"]
    assert " ".join(text.split()) == line


def test_pools_as_json() -> None:
    row = pool("auto", None, None)

    assert [Pool.model_validate(item) for item in json.loads(pools_json([row, row]))] == [row, row]
