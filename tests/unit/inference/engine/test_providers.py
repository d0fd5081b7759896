"""The choice of a device."""

from pathlib import Path

import pytest

from services.inference.engine.providers import CPU, CUDA, TENSORRT, Choice, Placement, Precision, Provider, on_gpu

WITH_GPU = [TENSORRT, CUDA, CPU]
WITHOUT_GPU = ["AzureExecutionProvider", CPU]


def names(providers: list[Provider]) -> list[str]:
    return [one if isinstance(one, str) else one[0] for one in providers]


def options(placement: Placement, name: str) -> dict[str, str]:
    return dict(one for one in placement.providers(WITH_GPU) if not isinstance(one, str))[name]


@pytest.mark.parametrize(
    ("choice", "available", "expected"),
    [
        (Choice.AUTO, WITH_GPU, [CUDA, CPU]),
        (Choice.AUTO, WITHOUT_GPU, [CPU]),
        (Choice.CPU, WITH_GPU, [CPU]),
        (Choice.CUDA, WITH_GPU, [CUDA, CPU]),
        (Choice.TENSORRT, WITH_GPU, [TENSORRT, CUDA, CPU]),
    ],
)
def test_each_provider_falls_back_to_the_next(choice: Choice, available: list[str], expected: list[str]) -> None:
    assert names(Placement(choice).providers(available)) == expected


@pytest.mark.parametrize(
    ("choice", "available"),
    [(Choice.CUDA, WITHOUT_GPU), (Choice.TENSORRT, WITHOUT_GPU), (Choice.TENSORRT, [CUDA, CPU])],
)
def test_what_is_asked_for_and_absent_is_named(choice: Choice, available: list[str]) -> None:
    with pytest.raises(ValueError, match=f"TIDEPOOL_INFERENCE_PROVIDER is {choice}"):
        Placement(choice).providers(available)


@pytest.mark.parametrize("name", [CUDA, TENSORRT])
def test_the_device_is_the_one_asked_for(name: str) -> None:
    assert options(Placement(Choice.TENSORRT, device=3), name)["device_id"] == "3"


@pytest.mark.parametrize(("precision", "expected"), [(Precision.FP32, "0"), (Precision.FP16, "1")])
def test_tensorrt_is_told_the_precision(precision: Precision, expected: str) -> None:
    assert options(Placement(Choice.TENSORRT, precision=precision), TENSORRT)["trt_fp16_enable"] == expected


def test_tensorrt_keeps_engines_where_there_is_a_folder() -> None:
    kept = options(Placement(Choice.TENSORRT, cache=Path("graphs")), TENSORRT)

    assert (kept["trt_engine_cache_enable"], kept["trt_engine_cache_path"]) == ("1", "graphs")
    assert "trt_engine_cache_enable" not in options(Placement(Choice.TENSORRT), TENSORRT)


def test_tensors_are_in_the_memory_of_a_gpu() -> None:
    assert [on_gpu(name) for name in WITH_GPU] == [True, True, False]
