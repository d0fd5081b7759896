"""The environment selects the driver."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from services.autoscaler.drivers.docker import DockerDriver
from services.autoscaler.drivers.process import ProcessDriver
from services.autoscaler.main import driver_of
from services.autoscaler.settings import AutoscalerSettings


def test_the_process_driver_is_selected(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TIDEPOOL_DRIVER", "process")
    monkeypatch.setenv("TIDEPOOL_REPLICAS_FILE", str(tmp_path / "replicas.json"))
    monkeypatch.setenv("TIDEPOOL_STATE_FILE", str(tmp_path / "state.json"))
    assert isinstance(driver_of(AutoscalerSettings().driver), ProcessDriver)


def test_the_docker_driver_is_selected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEPOOL_DRIVER", "docker")
    monkeypatch.setenv("TIDEPOOL_DOCKER_URL", "tcp://docker-proxy:2375")
    monkeypatch.setenv("TIDEPOOL_PROJECT", "tidepool")
    assert isinstance(driver_of(AutoscalerSettings().driver), DockerDriver)


def test_the_engines_socket_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEPOOL_DOCKER_URL", "unix:///var/run/docker.sock")
    monkeypatch.setenv("TIDEPOOL_PROJECT", "tidepool")
    with pytest.raises(ValidationError, match="docker_url"):
        driver_of(AutoscalerSettings(driver="docker").driver)  # type: ignore[arg-type]


def test_an_unknown_driver_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEPOOL_DRIVER", "ssh")
    with pytest.raises(ValidationError, match="docker"):
        AutoscalerSettings()
