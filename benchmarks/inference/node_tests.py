"""Run every ONNX node test that ONNX Runtime supports through /v2, and print how many results agree."""

import asyncio

import httpx

from contract.access import Scope
from messaging.in_memory import MemoryReports
from services.gateway.app import create_app
from services.gateway.dependencies import Backends
from services.gateway.serving.predictor import Predictor
from services.gateway.settings import GatewaySettings
from services.storage.database import Database
from services.storage.memory_objects import MemoryObjects
from services.storage.pools.demand import Demand
from services.storage.stores import Stores
from tests.support.onnx_node_tests import Case, ask, node_tests, runnable
from tests.support.onnx_serving import LocalInference


async def main() -> None:
    objects = MemoryObjects()
    stores = Stores(Database.in_memory(), objects)
    demand = Demand(stores.pools, MemoryReports())
    app = create_app(Backends(GatewaySettings(), stores, Predictor(LocalInference(objects), stores), demand))
    secret = stores.keys.create("nodes", frozenset({Scope.ADMIN})).secret
    headers = {"Authorization": f"Bearer {secret}"}
    right = wrong = other = 0
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://tidepool", headers=headers) as client:
        tests = node_tests()
        for number, test in enumerate(tests):
            case = runnable(test)
            other += case == "not a tensor"
            if isinstance(case, Case):
                fault = await ask(client, stores, f"node-{number}", case)
                right, wrong = right + (not fault), wrong + bool(fault)
                if fault:
                    print(f"{test.name}: {fault}")
    print(f"{right} of {right + wrong} tests that ONNX Runtime supports agree, of {len(tests)} tests")
    print(f"{other} more have inputs or outputs that are not tensors")


if __name__ == "__main__":
    asyncio.run(main())
