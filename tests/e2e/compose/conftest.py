"""The images, built from this tree, and the Compose deployment that most tests share, removed at the end."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from rich.console import Console

from tests.e2e.compose.engine import BUILD_S, Deployment, engine, wheels
from tests.support.images import class_folders, zipped
from tests.support.servers import free_port
from tidepool.demo.progress import ProgressDisplay
from tidepool.demo.workflow import DemoResult, run_workflow
from tidepool_client import Client

PROJECT = "tidepool-e2e"


@pytest.fixture(scope="session")
def images() -> Iterator[Mapping[str, str]]:
    """The images, built; yields the variables of their build."""
    with engine(), wheels() as variables:
        Deployment(PROJECT, free_port(), variables).compose("build", seconds=BUILD_S)
        yield variables


@pytest.fixture(scope="session")
def deployment(images: Mapping[str, str]) -> Iterator[Deployment]:
    """The deployment, not started."""
    with Deployment(PROJECT, free_port(), images) as deployment:
        yield deployment


@pytest.fixture(scope="session")
def up(deployment: Deployment) -> Deployment:
    """The deployment, started without any preparation, and healthy."""
    deployment.up()
    return deployment


@pytest.fixture(scope="session")
def key(up: Deployment) -> str:
    """The admin key, read as in the README."""
    return up.compose("run", "--rm", "secrets", "admin-key").strip()


@pytest.fixture(scope="session")
def client(up: Deployment, key: str) -> Iterator[Client]:
    with Client(up.url, key) as client:
        yield client


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty images of two classes."""
    return zipped(tmp_path_factory.mktemp("data") / "pets.zip", class_folders(("cat", "dog"), 30))


@pytest.fixture(scope="session")
def demo(client: Client, archive: Path) -> DemoResult:
    """The result of the demo's workflow."""
    with ProgressDisplay(Console(quiet=True)) as display:
        return run_workflow(client, archive, recipe={"epochs": 2}, display=display)
