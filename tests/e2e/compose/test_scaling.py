"""`docker compose up --scale` up and down, while people predict, and what the pools API says of it."""

import pytest

from contract.pools import ReplicaCounts
from tests.e2e.compose.engine import Deployment
from tests.e2e.compose.loads import predicting, until
from tidepool.client import Client
from tidepool.demo.road import Journey

pytestmark = pytest.mark.compose


def test_three_replicas_and_one_again_without_a_failed_prediction(
    up: Deployment, client: Client, journey: Journey
) -> None:
    def shown() -> ReplicaCounts:
        return next(pool.replicas for pool in client.pools() if pool.name == "inference")

    with predicting(client, journey.model.name) as failures:
        for count in (3, 1):
            up.compose("up", "--detach", "--no-recreate", "--scale", f"inference={count}")
            up.until_healthy()
            until(lambda wanted=count: (shown().desired, shown().created, shown().ready) == (wanted,) * 3)

    assert failures == []
    assert len(up.containers("inference")) == 1
