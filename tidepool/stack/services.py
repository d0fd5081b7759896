"""The services of the embedded stack: their commands, and the environment that each of them reads."""

import json
import os
import sys
from collections.abc import Mapping

from tidepool.stack.broker import broker_url
from tidepool.stack.components import Component
from tidepool.stack.credentials import Credentials, admin_key
from tidepool.stack.devices import device_of
from tidepool.stack.home import Home
from tidepool.stack.ports import HOST

WORKERS = {
    "preprocess": "services.preprocess.main",
    "trainer": "services.trainer.main",
    "inference": "services.inference.main",
}
GATEWAY_GRACE = 25.0  # seconds to answer the requests that it accepted
WORKER_GRACE = 35.0  # seconds to finish what is short and to checkpoint what is long


class Services:
    """Makes the services' components for one home, all of them over the same servers."""

    def __init__(self, home: Home, credentials: Credentials, *, redis_port: int, s3_port: int) -> None:
        self._home = home
        self._servers = {
            "TIDEPOOL_DATABASE_URL": f"sqlite:///{home.data / 'tidepool.db'}",
            "TIDEPOOL_BROKER_URL": broker_url(credentials, redis_port),
            "TIDEPOOL_S3_ENDPOINT": f"http://{HOST}:{s3_port}",
            "TIDEPOOL_S3_ACCESS_KEY": credentials.s3_access_key,
            "TIDEPOOL_S3_SECRET_KEY": credentials.s3_secret_key,
            "TIDEPOOL_SCRATCH": str(home.scratch),
        }

    def init(self, replicas: Mapping[str, int], *, stage: int) -> Component:
        """`replicas` are those that the pools shall have from now on, whatever they had."""
        return Component(
            role="init",
            stage=stage,
            command=_python("services.storage.sweep.main", "init"),
            environment=self._servers
            | {"TIDEPOOL_ADMIN_KEY": admin_key(self._home), "TIDEPOOL_SCALE": json.dumps(dict(replicas))},
            once=True,
        )

    def storage(self, metrics_port: int, *, stage: int) -> Component:
        return Component(
            role="storage",
            stage=stage,
            command=_python("services.storage.sweep.main", "sweep"),
            environment=self._servers | _metrics(metrics_port),
            probe=_metrics_url(metrics_port),
        )

    def autoscaler(self, metrics_port: int, *, stage: int) -> Component:
        driver = {
            "TIDEPOOL_DRIVER": "process",
            "TIDEPOOL_REPLICAS_FILE": str(self._home.replicas_file),
            "TIDEPOOL_STATE_FILE": str(self._home.state_file),
        }
        return Component(
            role="autoscaler",
            stage=stage,
            command=_python("services.autoscaler.main"),
            environment=self._servers | _metrics(metrics_port) | driver,
            probe=_metrics_url(metrics_port),
        )

    def worker(self, role: str, index: int, metrics_port: int, *, stage: int) -> Component:
        return Component(
            role=role,
            index=index,
            stage=stage,
            command=_python(WORKERS[role]),
            environment=self._servers | _metrics(metrics_port) | device_of(index, os.environ),
            probe=_metrics_url(metrics_port),
            grace=WORKER_GRACE,
        )

    def gateway(self, port: int, metrics_port: int, *, most_replicas: int, stage: int) -> Component:
        served = {"TIDEPOOL_HOST": HOST, "TIDEPOOL_PORT": str(port), "TIDEPOOL_MAX_REPLICAS": str(most_replicas)}
        return Component(
            role="gateway",
            stage=stage,
            command=_python("services.gateway.main"),
            environment=self._servers | _metrics(metrics_port) | served,
            probe=f"http://{HOST}:{port}/readyz",
            grace=GATEWAY_GRACE,
        )


def _python(module: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", module, *arguments)


def _metrics(port: int) -> dict[str, str]:
    return {"TIDEPOOL_METRICS_PORT": str(port)}


def _metrics_url(port: int) -> str:
    return f"http://{HOST}:{port}/metrics"
