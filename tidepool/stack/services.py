"""The commands and environments of the embedded stack's services."""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from contract.pools import PoolName
from messaging.redis_users import REDIS_USERS, RedisUser
from tidepool.stack.broker import broker_url
from tidepool.stack.components import Component
from tidepool.stack.credentials import Credentials, admin_key
from tidepool.stack.home import Home
from tidepool.stack.ports import HOST

WORKERS: dict[PoolName, str] = {
    "preprocess": "services.preprocess.main",
    "trainer": "services.trainer.main",
    "inference": "services.inference.main",
}
GATEWAY_GRACE_S = 25.0  # to answer accepted requests
WORKER_GRACE_S = 35.0  # to finish short work and checkpoint long work
DRIVER = Path("/proc/driver/nvidia/gpus")  # holds one folder per GPU if NVIDIA's driver is loaded
VISIBLE = "CUDA_VISIBLE_DEVICES"
DEVICE = "TIDEPOOL_INFERENCE_DEVICE"
LOCAL_SOCKETS = "TIDEPOOL_LOCAL_SOCKETS"
CERTIFICATE = ("TIDEPOOL_TLS_CERT", "TIDEPOOL_TLS_KEY")


class Services:
    """Builds the service components of one home; all use the same servers, and each has its own user of the broker."""

    def __init__(self, home: Home, credentials: Credentials, *, redis_port: int, s3_port: int) -> None:
        self._home = home
        self._brokers = {user: broker_url(credentials, user, redis_port) for user in REDIS_USERS}
        self._servers = {
            "TIDEPOOL_DATABASE_URL": f"sqlite:///{home.data / 'tidepool.db'}",
            "TIDEPOOL_S3_ENDPOINT": f"http://{HOST}:{s3_port}",
            "TIDEPOOL_S3_ACCESS_KEY": credentials.s3_access_key,
            "TIDEPOOL_S3_SECRET_KEY": credentials.s3_secret_key,
            "TIDEPOOL_SCRATCH": str(home.scratch),
            LOCAL_SOCKETS: os.environ.get(LOCAL_SOCKETS, str(home.sockets)),
        }

    def init(self, replicas: Mapping[str, int], *, stage: int) -> Component:
        """Return the command that prepares the deployment; `replicas` overrides the stored sizes of pools."""
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
            environment=self._environment("sweep", metrics_port),
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
            environment=self._environment("autoscaler", metrics_port) | driver,
            probe=_metrics_url(metrics_port),
        )

    def worker(self, role: PoolName, index: int, metrics_port: int, *, stage: int) -> Component:
        return Component(
            role=role,
            index=index,
            stage=stage,
            command=_python(WORKERS[role]),
            environment=self._environment(role, metrics_port) | device_of(index, os.environ),
            probe=_metrics_url(metrics_port),
            grace=WORKER_GRACE_S,
        )

    def gateways(
        self, url: str, port: int, ports: Sequence[tuple[int, int]], *, most_replicas: int, stage: int
    ) -> tuple[Component, ...]:
        """Return a gateway for each pair of ports: the port of its metrics, and its own, on which it is probed.

        All of them answer at `port`. A single one is probed there.
        """
        scheme, several = urlsplit(url).scheme, len(ports) > 1
        settings = {
            "TIDEPOOL_HOST": HOST,
            "TIDEPOOL_PORT": str(port),
            "TIDEPOOL_MAX_REPLICAS": str(most_replicas),
            "TIDEPOOL_GATEWAYS": str(len(ports)),
        }
        return tuple(
            Component(
                role="gateway",
                index=index,
                stage=stage,
                command=_python("services.gateway.main"),
                environment=self._environment("gateway", metrics_port)
                | settings
                | {"TIDEPOOL_PROBE_PORT": str(own_port if several else 0)}
                | certificate_of(os.environ),
                probe=f"{scheme}://{HOST}:{own_port}/readyz" if several else f"{url}/readyz",
                grace=GATEWAY_GRACE_S,
            )
            for index, (metrics_port, own_port) in enumerate(ports, 1)
        )

    def _environment(self, user: RedisUser, metrics_port: int) -> dict[str, str]:
        metrics = {"TIDEPOOL_METRICS_PORT": str(metrics_port)}
        return self._servers | {"TIDEPOOL_BROKER_URL": self._brokers[user]} | metrics


def gpu_count(environment: Mapping[str, str], driver: Path = DRIVER) -> int:
    """Return how many GPUs a process with this environment can use."""
    installed = len(list(driver.iterdir())) if driver.is_dir() else 0
    visible = environment.get(VISIBLE)
    return installed if visible is None else min(installed, len(list(filter(None, visible.split(",")))))


def device_of(index: int, environment: Mapping[str, str], driver: Path = DRIVER) -> dict[str, str]:
    """Return the variable that assigns a GPU to the replica `index` (from 1 up), in turns.

    Empty if there are fewer than two GPUs or the environment names a device already.
    """
    count = gpu_count(environment, driver)
    if count < 2 or DEVICE in environment:
        return {}
    return {DEVICE: str((index - 1) % count)}


def certificate_of(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of the gateway's certificate with absolute paths; services run in another folder."""
    return {name: str(Path(environment[name]).absolute()) for name in CERTIFICATE if environment.get(name)}


def _python(module: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", module, *arguments)


def _metrics_url(port: int) -> str:
    return f"http://{HOST}:{port}/metrics"
