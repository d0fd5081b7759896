"""Shared by all trainer tests: train on one CPU core, where results are equal bit for bit."""

from collections.abc import Iterator

import pytest
import torch

from services.trainer import worker
from services.trainer.variants import Variants


@pytest.fixture(autouse=True, scope="module")
def one_cpu_core() -> Iterator[None]:
    """Hide GPUs and use one thread; two threads are very slow on cores that are shared with other processes."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("CUDA_VISIBLE_DEVICES", "")
        environment.setenv("OMP_NUM_THREADS", "1")
        torch.set_num_threads(1)
        yield


@pytest.fixture
def no_variants(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the variants, which take seconds of each training, for tests that do not look at them."""
    monkeypatch.setattr(worker, "make_variants", lambda *_: Variants())
