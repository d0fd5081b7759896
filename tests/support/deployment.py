"""Reads the Compose file, the Kubernetes manifests and the scripts of the container images."""

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
BIN = ROOT / "deploy" / "bin"
KUBERNETES = ROOT / "deploy" / "kubernetes"
SERVICES = ("init", "sweep", "gateway", "preprocess", "trainer", "inference")

Document = dict[str, Any]


@dataclass(frozen=True)
class Workload:
    """One service as both platforms define it; memory in bytes, `grace` in seconds until it is killed."""

    command: tuple[str, ...]
    image: str
    settings: frozenset[tuple[str, str]]
    secrets: str
    cpus: float
    memory: int
    grace: float


def compose(name: str = "docker-compose.yml") -> Document:
    """Load a Compose file with the defaults of its variables."""
    text = (ROOT / name).read_text()
    return dict(yaml.safe_load(re.sub(r"\$\{(\w+)(?::-([^}]*))?\}", lambda match: match[2] or "", text)))


def documents(*files: str) -> list[Document]:
    """Load the documents of files under deploy/kubernetes."""
    return [document for file in files for document in yaml.safe_load_all((KUBERNETES / file).read_text())]


def in_compose(name: str) -> Workload:
    """Return a service of docker-compose.yml."""
    service = compose()["services"][name]
    limits = service["deploy"]["resources"]["limits"]
    volume = next(volume for volume in service["volumes"] if volume.endswith(":/run/secrets/tidepool:ro"))
    return Workload(
        command=tuple(service["command"]),
        image=service["image"].partition(":")[0],
        settings=frozenset(service["environment"].items()),
        secrets=volume.partition(":")[0].removeprefix("secrets-"),
        cpus=float(limits["cpus"]),
        memory=_bytes(limits["memory"]),
        grace=float(service.get("stop_grace_period", "10s").removesuffix("s")),
    )


def in_kubernetes(name: str) -> Workload:
    """Return the Deployment or Job of that name in the base."""
    (workload,) = (document for document in documents(f"base/{name}.yaml") if "template" in document.get("spec", {}))
    (settings,) = documents("base/settings.yaml")
    pod = workload["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    own = {variable["name"]: variable["value"] for variable in container.get("env", ()) if "value" in variable}
    limits = container["resources"]["limits"]
    return Workload(
        command=tuple(container["args"]),
        image=container["image"],
        settings=frozenset((settings["data"] | own).items()),
        secrets=container["envFrom"][1]["secretRef"]["name"].removeprefix("tidepool-"),
        cpus=float(limits["cpu"]),
        memory=_bytes(limits["memory"]),
        grace=float(pod.get("terminationGracePeriodSeconds", 30)),
    )


def script(name: str, *arguments: str, **environment: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a script of the container images."""
    variables = {"PATH": os.environ["PATH"], **{name: str(value) for name, value in environment.items()}}
    return subprocess.run([BIN / name, *arguments], env=variables, capture_output=True, text=True, check=False)


def secrets_made(folder: Path) -> Path:
    """Run make-secrets, with a subfolder for each volume."""
    for part in ("init", "redis", "postgres", "s3", "autoscaler", *SERVICES):
        (folder / part).mkdir(exist_ok=True)
    done = script("make-secrets", TIDEPOOL_SECRETS=folder)
    assert done.returncode == 0, done.stderr
    return folder


def _bytes(quantity: str) -> int:
    """Convert a quantity to bytes; units are powers of 1024 in Docker, and in Kubernetes if they end in i."""
    number, unit = re.fullmatch(r"(\d+)([KMG])i?", quantity).groups()  # type: ignore[union-attr]
    return int(number) << {"K": 10, "M": 20, "G": 30}[unit]
