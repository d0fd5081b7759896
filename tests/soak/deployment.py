"""The stack of a soak: started as `tidepool up` does, with all services, two projects, and models to call."""

import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from tests.support.images import class_folders, zipped
from tests.support.onnx_graphs import identity, lookup
from tests.support.onnx_models import linear
from tests.support.servers import free_port
from tidepool.stack.blueprint import draw_plan
from tidepool.stack.components import StackPlan
from tidepool.stack.credentials import admin_key
from tidepool.stack.home import Home
from tidepool.stack.stack import Stack

TOO_MANY = 429
START_S = 180.0
MAX_STREAMS = 20
SETTINGS = {
    "OMP_NUM_THREADS": "1",
    "TIDEPOOL_COLLECT_S": "30",
    "TIDEPOOL_COLLECT_GRACE_S": "30",
    "TIDEPOOL_COLLECT_UPLOADS_S": "120",
    "TIDEPOOL_INFERENCE_RUN_S": "2",
    "TIDEPOOL_INFERENCE_CACHE_BYTES": str(64 << 20),  # full after a few models, as the default is after days
    "TIDEPOOL_MAX_STREAMS": str(MAX_STREAMS),
}
REPLICAS = {"preprocess": 1, "trainer": 1, "inference": 2}
KEYS: dict[str, dict[str, Any]] = {
    "admin": {"role": "admin"},
    "hostile": {"role": "admin"},
    "predict": {"scopes": ["predict"]},
}
ENDED = {"succeeded", "failed", "cancelled", "expired"}
FLOAT = 1  # onnx.TensorProto.FLOAT


@dataclass(frozen=True)
class Project:
    """A project, and keys in it: of its admin, of a hostile admin, and one that may only predict."""

    name: str
    key: str
    hostile_key: str
    predict_key: str


@dataclass(frozen=True)
class Deployment:
    """The addresses of a running stack and its projects; the models `steady`, `lookup`, `echo` are in each."""

    home: Home
    url: str
    host: str
    port: int
    grpc: str
    admin: str
    projects: tuple[Project, ...]
    redis_url: str

    def http(self, key: str) -> httpx.Client:
        return httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {key}"}, timeout=90, trust_env=False)


@contextmanager
def deployed(folder: Path) -> Iterator[Deployment]:
    """Run the stack during the block; its processes inherit SETTINGS."""
    home, port, grpc, password = Home.at(folder), free_port(), free_port(), secrets.token_hex(16)
    os.environ.update(SETTINGS | {"TIDEPOOL_GRPC_PORT": str(grpc)})
    stack = Stack(home)

    def plan() -> StackPlan:
        drawn = draw_plan(home, port, REPLICAS)
        with (home.data / "redis" / "users.acl").open("a") as users:  # a user who may ask how much memory it takes
            users.write(f"user soak reset resetchannels on >{password} +ping +info\n")
        return drawn

    try:
        stack.up(plan, limit=START_S)
        plan_file = StackPlan.load(home.plan_file)
        broker = next(part.environment for part in plan_file.components if part.role == "gateway")
        address = broker["TIDEPOOL_BROKER_URL"].rpartition("@")[2]
        admin = admin_key(home)
        with httpx.Client(
            base_url=plan_file.url, headers={"Authorization": f"Bearer {admin}"}, trust_env=False
        ) as http:
            for pool, count in REPLICAS.items():
                _ok(http.patch(f"/v1/pools/{pool}", json={"mode": "manual", "replicas": count}))
            projects = tuple(_project(http, name) for name in ("default", "rival"))
        yield Deployment(
            home=home,
            url=plan_file.url,
            host="127.0.0.1",
            port=port,
            grpc=f"127.0.0.1:{grpc}",
            admin=admin,
            projects=projects,
            redis_url=f"redis://soak:{password}@{address}",
        )
    finally:
        stack.down()


def _project(http: httpx.Client, name: str) -> Project:
    if name != "default":
        _ok(http.post("/v1/projects", json={"name": name}))
    into = {"Tidepool-Project": name}
    keys = [
        _ok(http.post("/v1/keys", headers=into, json={"name": f"soak-{role}", **body}))["secret"]
        for role, body in KEYS.items()
    ]
    models = {"steady": linear(), "lookup": lookup(), "echo": identity(FLOAT, ("batch", 2))}
    for model, file in models.items():
        publish(http, model, file, into)
    with TemporaryDirectory() as scratch:
        archive = zipped(Path(scratch) / "soak.zip", class_folders(("cat", "dog"), 20))
        files = {"archive": ("soak.zip", archive.read_bytes())}
        _succeeded(http, _ok(http.post("/v1/datasets/soak/versions", files=files, headers=into)), into)
    return Project(name, *keys)


def publish(http: httpx.Client, model: str, file: bytes, headers: dict[str, str] | None = None) -> dict[str, Any]:
    """Upload a model and wait until it is vetted; raises RuntimeError if it is not accepted."""
    job = _ok(http.post(f"/v1/models/{model}/versions", files={"model": ("model.onnx", file)}, headers=headers))
    return _succeeded(http, job, headers)


def _succeeded(http: httpx.Client, job: dict[str, Any], headers: dict[str, str] | None) -> dict[str, Any]:
    deadline = time.monotonic() + START_S
    while job["state"] not in ENDED and time.monotonic() < deadline:
        response = http.get(f"/v1/jobs/{job['id']}", params={"wait": 10}, headers=headers, timeout=30)
        if response.status_code == TOO_MANY:  # other threads with this key wait for jobs, too
            time.sleep(1)
        else:
            job = _ok(response)
    if job["state"] != "succeeded":
        raise RuntimeError(f"a job did not succeed: {job}")
    return job


def _ok(response: httpx.Response) -> dict[str, Any]:
    if not response.is_success:
        raise RuntimeError(f"{response.request.method} {response.url.path}: {response.status_code} {response.text}")
    return response.json()
