"""The only place that moves tensors between the host and the device of a session."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from services.inference.engine.onnx_runtime import ort
from services.inference.engine.providers import on_gpu

GPU_MEMORY = "cuda"


class Session(Protocol):
    """What runs a graph: an ort.InferenceSession or what stands in for it; safe to share between threads."""

    def run(self, names: Sequence[str] | None, feed: Mapping[str, Any]) -> Sequence[Any]:
        """The named outputs, all if None, as arrays of the host; raises one of ORT_ERRORS."""

    def run_with_ort_values(self, names: Sequence[str], feed: Mapping[str, ort.OrtValue]) -> Sequence[ort.OrtValue]: ...
    def get_inputs(self) -> Sequence[ort.NodeArg]: ...
    def get_outputs(self) -> Sequence[ort.NodeArg]: ...
    def get_providers(self) -> Sequence[str]: ...


class BoundSession:
    """Binds inputs and outputs to the memory of a GPU, so that a run waits for no copy of each in turn.

    Exercised over the memory of the host; not seen on a GPU so far.
    """

    def __init__(self, session: ort.InferenceSession, device: int) -> None:
        self._session = session
        self._device = device
        self._outputs = [node.name for node in session.get_outputs()]

    def run(self, names: Sequence[str] | None, feed: Mapping[str, NDArray[np.generic]]) -> Sequence[NDArray[Any]]:
        binding = self._session.io_binding()
        for name, array in feed.items():
            # np.ascontiguousarray would give a scalar an axis.
            value = ort.OrtValue.ortvalue_from_numpy(np.asarray(array, order="C"), GPU_MEMORY, self._device)
            binding.bind_ortvalue_input(name, value)
        for name in names or self._outputs:
            binding.bind_output(name, GPU_MEMORY, self._device)
        self._session.run_with_iobinding(binding)
        arrays: Sequence[NDArray[Any]] = binding.copy_outputs_to_cpu()
        return arrays

    def run_with_ort_values(self, names: Sequence[str], feed: Mapping[str, ort.OrtValue]) -> Sequence[ort.OrtValue]:
        values: Sequence[ort.OrtValue] = self._session.run_with_ort_values(names, feed)
        return values

    def get_inputs(self) -> Sequence[ort.NodeArg]:
        return self._session.get_inputs()  # type: ignore[no-any-return]

    def get_outputs(self) -> Sequence[ort.NodeArg]:
        return self._session.get_outputs()  # type: ignore[no-any-return]

    def get_providers(self) -> Sequence[str]:
        return self._session.get_providers()  # type: ignore[no-any-return]


def bound(session: ort.InferenceSession, device: int) -> Session:
    """The session itself on the CPU, where binding gains nothing; what binds to the GPU's memory on a GPU.

    A graph that takes or gives anything but numbers is not bound either: a GPU holds no strings and no sequences.
    """
    nodes = (*session.get_inputs(), *session.get_outputs())
    numbers = all(node.type.startswith("tensor(") and node.type != "tensor(string)" for node in nodes)
    if on_gpu(session.get_providers()[0]) and numbers:
        return BoundSession(session, device)
    return session  # type: ignore[no-any-return]
