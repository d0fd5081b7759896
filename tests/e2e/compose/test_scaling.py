"""`docker compose up --scale` up and down under load, as the pools API shows it."""

import pytest

from contract.pools import ReplicaCounts
from tests.e2e.compose.engine import Deployment
from tests.e2e.compose.loads import predicting, until
from tidepool.demo.workflow import DemoResult
from tidepool_client import Client

pytestmark = pytest.mark.compose


def test_scaling_to_three_and_back_fails_no_prediction(up: Deployment, client: Client, demo: DemoResult) -> None:
    def counts() -> ReplicaCounts:
        return next(pool.replicas for pool in client.pools.list() if pool.name == "inference")

    with predicting(client, demo.model.name) as failures:
        for count in (3, 1):
            up.compose("up", "--detach", "--no-recreate", "--scale", f"inference={count}")
            up.until_healthy()
            until(lambda count=count: (counts().desired, counts().created, counts().ready) == (count,) * 3)

    assert failures == []
    assert len(up.containers("inference")) == 1
