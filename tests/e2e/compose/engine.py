"""A Docker engine for the tests; `TIDEPOOL_ENGINE` names a program that can start one."""

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from tests.support.deployment import ROOT, compose

BUILD_S, COMMAND_S = 1800, 300
WHEELS = ROOT / "deploy" / "wheels"
SUITES = {"311": "bookworm"}  # the Debian release that has this Python
SERVERS = {
    "redis": "redis",
    "postgres": "postgres",
    "s3": "s3",
}  # service: the name under which TIDEPOOL_ENGINE provides its image


def run(*command: str | Path, seconds: float = COMMAND_S, check: bool = True, **options: Any) -> str:
    """Run a command and return its stdout; an assertion with its output fails the test if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False, cwd=ROOT, **options)
    if check and done.returncode != 0:
        raise AssertionError(f"{command} ended with {done.returncode}:\n{done.stdout[-4000:]}{done.stderr[-8000:]}")
    return done.stdout


@contextmanager
def engine() -> Iterator[None]:
    """Use the machine's engine, or start one and stop it at the end."""
    program = os.environ.get("TIDEPOOL_ENGINE")
    running = subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0
    if program:
        run(program, "start", seconds=BUILD_S)
        for service, kind in SERVERS.items():
            image = compose()["services"][service]["image"]
            if not run("docker", "image", "ls", "--quiet", image):
                run(program, "image", kind, image, seconds=BUILD_S)
    try:
        yield
    finally:
        if program and not running:
            run(program, "stop")


@contextmanager
def wheels() -> Iterator[Mapping[str, str]]:
    """Make the image build use the wheels in PIP_FIND_LINKS and their Python; yields the build's variables."""
    folder = Path(os.environ.get("PIP_FIND_LINKS", "/nowhere"))
    copies = [Path(shutil.copy2(wheel, WHEELS)) for wheel in folder.glob("*.whl")] if folder.is_dir() else []
    try:
        tags = {tag for wheel in copies for tag in re.findall(r"-cp(\d+)-", wheel.name)}
        yield _with_python(tags.pop()) if tags & SUITES.keys() else {}
    finally:
        for wheel in copies:
            wheel.unlink()


def _with_python(tag: str) -> Mapping[str, str]:
    version, image = f"{tag[0]}.{tag[1:]}", f"tidepool-python:{tag}"
    arguments = ("--build-arg", f"SUITE={SUITES[tag]}", "--build-arg", f"PYTHON=python{version}")
    run("docker", "build", "-q", "-t", image, *arguments, Path(__file__).parent / "python", seconds=BUILD_S)
    return {"TIDEPOOL_BASE": image}


class Deployment:
    """One project of docker-compose.yml and its containers; as a context, removed before and after."""

    def __init__(self, project: str, port: int, variables: Mapping[str, str]) -> None:
        self.project = project
        self.url = f"http://127.0.0.1:{port}"
        self.healthy_after_s = float("inf")
        self._variables = os.environ | variables | {"TIDEPOOL_PORT": str(port), "TIDEPOOL_VERSION": "e2e"}

    def __enter__(self) -> Self:
        self.down()
        return self

    def __exit__(self, *_: object) -> None:
        self.down()

    def compose(self, *arguments: str, seconds: float = COMMAND_S, **options: Any) -> str:
        command = ("docker", "compose", "--project-name", self.project, *arguments)
        return run(*command, seconds=seconds, env=self._variables, **options)

    def containers(self, *services: str) -> list[dict[str, Any]]:
        """Return the output of `docker compose ps` for running and exited containers."""
        lines = self.compose("ps", "--all", "--format", "json", *services).splitlines()
        return [json.loads(line) for line in lines]

    def up(self) -> None:
        started = time.monotonic()
        self.compose("up", "--detach")
        self.until_healthy()
        self.healthy_after_s = time.monotonic() - started

    def until_healthy(self, seconds: float = 120) -> None:
        """Wait until every container is healthy or has exited with status 0."""
        started = time.monotonic()
        while unhealthy := [container for container in self.containers() if not self._healthy(container)]:
            assert time.monotonic() - started < seconds, [
                (container["Name"], container["Status"]) for container in unhealthy
            ]
            time.sleep(0.5)

    def inspect(self, name: str) -> dict[str, Any]:
        return dict(json.loads(run("docker", "inspect", name))[0])

    def crash(self, service: str) -> None:
        """Kill the process of a service inside its container, like a crash."""
        self.compose("exec", "-T", service, "sh", "-c", "kill -9 $(cat /proc/1/task/1/children)", check=False)

    def down(self) -> None:
        self.compose("down", "--volumes", "--remove-orphans", "--timeout", "40")

    def leftovers(self) -> dict[str, str]:
        """Return the ids of the project's containers, volumes and networks, by kind."""
        options = ("--filter", f"label=com.docker.compose.project={self.project}", "--quiet")
        return {
            "containers": run("docker", "ps", "--all", *options),
            "volumes": run("docker", "volume", "ls", *options),
            "networks": run("docker", "network", "ls", *options),
        }

    @staticmethod
    def _healthy(container: Mapping[str, Any]) -> bool:
        if container["State"] == "exited":
            return bool(container["ExitCode"] == 0)
        return bool(container["Health"] == "healthy")
