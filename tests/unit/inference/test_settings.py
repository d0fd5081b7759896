"""The settings of the inference service."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from services.inference.engine.providers import Placement, ProviderChoice
from services.inference.settings import InferenceSettings


def test_the_environment_overrides_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEPOOL_INFERENCE_MAX_BATCH", "16")

    settings = InferenceSettings()

    assert (settings.max_batch, settings.threads, settings.cache_bytes) == (16, 1, 2**31)


@pytest.mark.parametrize("value", ["0", "-1", "many"])
def test_invalid_values_are_rejected(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEPOOL_INFERENCE_CACHE_BYTES", value)

    with pytest.raises(ValidationError):
        InferenceSettings()


def test_the_environment_sets_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {"PROVIDER": "tensorrt", "DEVICE": "1", "GRAPH_CACHE": "graphs"}
    for name, value in values.items():
        monkeypatch.setenv(f"TIDEPOOL_INFERENCE_{name}", value)

    assert InferenceSettings().placement == Placement(ProviderChoice.TENSORRT, 1, Path("graphs"))


def test_an_empty_graph_cache_means_no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEPOOL_INFERENCE_GRAPH_CACHE", "")

    assert InferenceSettings().placement == Placement()


@pytest.mark.parametrize(("name", "value"), [("PROVIDER", "tpu"), ("DEVICE", "-1")])
def test_invalid_placements_are_rejected(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"TIDEPOOL_INFERENCE_{name}", value)

    with pytest.raises(ValidationError):
        InferenceSettings()
