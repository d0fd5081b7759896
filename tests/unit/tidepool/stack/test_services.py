"""The GPU that each replica gets, and the certificate of the gateway."""

from pathlib import Path

import pytest

from tidepool.stack.services import certificate_of, device_of


@pytest.fixture
def two_gpus(tmp_path: Path) -> Path:
    """The driver's folder on a machine with two GPUs."""
    for name in ("0000:01:00.0", "0000:02:00.0"):
        (tmp_path / name).mkdir()
    return tmp_path


def test_replicas_are_assigned_gpus_in_turns(two_gpus: Path) -> None:
    devices = [device_of(index, {}, two_gpus).get("TIDEPOOL_INFERENCE_DEVICE") for index in (1, 2, 3)]

    assert devices == ["0", "1", "0"]


@pytest.mark.parametrize(
    "environment",
    [
        {"CUDA_VISIBLE_DEVICES": ""},
        {"CUDA_VISIBLE_DEVICES": "1"},
        {"TIDEPOOL_INFERENCE_DEVICE": "1"},
    ],
    ids=str,
)
def test_no_device_is_assigned_without_a_choice(two_gpus: Path, environment: dict[str, str]) -> None:
    assert device_of(1, environment, two_gpus) == {}


def test_no_device_is_assigned_without_a_driver(tmp_path: Path) -> None:
    assert device_of(1, {}, tmp_path / "none") == {}


def test_the_gateway_gets_its_certificate_by_absolute_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    variables = {"TIDEPOOL_TLS_CERT": "server.pem", "TIDEPOOL_TLS_KEY": "/etc/server.key", "PATH": "/bin"}

    assert certificate_of(variables) == {
        "TIDEPOOL_TLS_CERT": str(tmp_path / "server.pem"),
        "TIDEPOOL_TLS_KEY": "/etc/server.key",
    }
    assert certificate_of({"TIDEPOOL_TLS_CERT": "", "TIDEPOOL_TLS_KEY": ""}) == {}
