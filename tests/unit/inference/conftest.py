"""A fake GPU: ONNX Runtime reports CUDA, but computes on the CPU."""

import onnxruntime as ort
import pytest

from services.inference.engine import session
from services.inference.engine.providers import CPU, CUDA


class OnGpu(ort.InferenceSession):
    """Reports the CUDA provider, but computes on the CPU."""

    def __init__(self, source: object, options: ort.SessionOptions, providers: list[object]) -> None:
        super().__init__(source, options, [CPU])

    def get_providers(self) -> list[str]:
        return [CUDA, CPU]


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ort, "get_available_providers", lambda: [CUDA, CPU])
    monkeypatch.setattr(ort, "InferenceSession", OnGpu)
    monkeypatch.setattr(session, "GPU_MEMORY", "cpu")
