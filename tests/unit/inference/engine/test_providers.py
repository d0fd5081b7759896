"""The choice of a device."""

from pathlib import Path

import pytest

from services.inference.engine.providers import (
    CPU,
    CUDA,
    TENSORRT,
    Placement,
    Provider,
    ProviderChoice,
    on_gpu,
)

WITH_GPU = [TENSORRT, CUDA, CPU]
WITHOUT_GPU = ["AzureExecutionProvider", CPU]


def names(providers: list[Provider]) -> list[str]:
    return [provider if isinstance(provider, str) else provider[0] for provider in providers]


def options(placement: Placement, name: str) -> dict[str, str]:
    return dict(pair for pair in placement.providers(WITH_GPU) if not isinstance(pair, str))[name]


@pytest.mark.parametrize(
    ("choice", "available", "expected"),
    [
        (ProviderChoice.AUTO, WITH_GPU, [CUDA, CPU]),
        (ProviderChoice.AUTO, WITHOUT_GPU, [CPU]),
        (ProviderChoice.CPU, WITH_GPU, [CPU]),
        (ProviderChoice.CUDA, WITH_GPU, [CUDA, CPU]),
        (ProviderChoice.TENSORRT, WITH_GPU, [TENSORRT, CUDA, CPU]),
    ],
)
def test_each_provider_falls_back_to_the_next(
    choice: ProviderChoice, available: list[str], expected: list[str]
) -> None:
    assert names(Placement(choice).providers(available)) == expected


@pytest.mark.parametrize(
    ("choice", "available"),
    [
        (ProviderChoice.CUDA, WITHOUT_GPU),
        (ProviderChoice.TENSORRT, WITHOUT_GPU),
        (ProviderChoice.TENSORRT, [CUDA, CPU]),
    ],
)
def test_a_configured_provider_missing_from_the_build_raises(choice: ProviderChoice, available: list[str]) -> None:
    with pytest.raises(ValueError, match=f"TIDEPOOL_INFERENCE_PROVIDER is {choice}"):
        Placement(choice).providers(available)


@pytest.mark.parametrize("name", [CUDA, TENSORRT])
def test_the_device_is_the_configured_one(name: str) -> None:
    assert options(Placement(ProviderChoice.TENSORRT, device=3), name)["device_id"] == "3"


def test_tensorrt_caches_engines_if_there_is_a_folder() -> None:
    cached = options(Placement(ProviderChoice.TENSORRT, cache=Path("graphs")), TENSORRT)

    assert (cached["trt_engine_cache_enable"], cached["trt_engine_cache_path"]) == ("1", "graphs")
    assert "trt_engine_cache_enable" not in options(Placement(ProviderChoice.TENSORRT), TENSORRT)


def test_on_gpu_is_true_for_tensorrt_and_cuda() -> None:
    assert [on_gpu(name) for name in WITH_GPU] == [True, True, False]
