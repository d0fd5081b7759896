"""A sample of ONNX's own node tests through /v2; benchmarks/inference/node_tests.py runs all of them."""

import httpx
import pytest

from tests.support.onnx_node_tests import Case, ask, node_tests, runnable
from tests.unit.gateway.oip.conftest import World

pytestmark = pytest.mark.anyio

EVERY = 11


async def test_models_that_onnx_runtime_runs_are_served(client: httpx.AsyncClient, world: World) -> None:
    # given the cases that raw ONNX Runtime runs
    cases = [case for test in node_tests()[::EVERY] if isinstance(case := runnable(test), Case)]
    assert len(cases) >= 100

    # then each gives the same result through the protocol
    faults = {case.name: await ask(client, world.stores, f"node-{number}", case) for number, case in enumerate(cases)}

    assert {name: fault for name, fault in faults.items() if fault} == {}
