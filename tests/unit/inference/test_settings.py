"""The environment of a replica."""

import pytest
from pydantic import ValidationError

from services.inference.settings import InferenceSettings


def test_the_environment_overrides_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEPOOL_INFERENCE_MAX_BATCH", "16")

    settings = InferenceSettings()

    assert (settings.max_batch, settings.threads, settings.cache_bytes) == (16, 1, 2**31)


@pytest.mark.parametrize("value", ["0", "-1", "many"])
def test_nonsense_is_refused(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEPOOL_INFERENCE_CACHE_BYTES", value)

    with pytest.raises(ValidationError):
        InferenceSettings()
