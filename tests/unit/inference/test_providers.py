"""The choice of a device."""

from services.inference.providers import CPU, CUDA, preferred


def names(available: list[str]) -> list[str]:
    return [one if isinstance(one, str) else one[0] for one in preferred(available)]


def test_cuda_comes_first_where_it_is_available() -> None:
    assert names(["TensorrtExecutionProvider", CUDA, CPU]) == [CUDA, CPU]


def test_cpu_alone_otherwise() -> None:
    assert names(["AzureExecutionProvider", CPU]) == [CPU]
