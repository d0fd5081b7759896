"""What all tests of the trainer share: they train on one core of the CPU, where results are the same bit for bit."""

from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(autouse=True, scope="module")
def one_core_of_the_cpu() -> Iterator[None]:
    """Hide GPUs, and keep to one thread: two crawl on cores that others use too."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("CUDA_VISIBLE_DEVICES", "")
        environment.setenv("OMP_NUM_THREADS", "1")
        torch.set_num_threads(1)
        yield
