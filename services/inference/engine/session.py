"""Run sessions on a GPU with inputs and outputs bound to its memory."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from services.inference.engine.onnx_runtime import ort
from services.inference.engine.providers import on_gpu

GPU_MEMORY = "cuda"


class Session(Protocol):
    """The interface of ort.InferenceSession that this service uses; thread-safe."""

    def run(self, names: Sequence[str] | None, feed: Mapping[str, Any]) -> Sequence[Any]:
        """Return the named outputs (None: all) as arrays in host memory; raises one of ORT_ERRORS."""

    def run_with_ort_values(self, names: Sequence[str], feed: Mapping[str, ort.OrtValue]) -> Sequence[ort.OrtValue]: ...
    def get_inputs(self) -> Sequence[ort.NodeArg]: ...
    def get_outputs(self) -> Sequence[ort.NodeArg]: ...
    def get_providers(self) -> Sequence[str]: ...


class OrtSession(Session, Protocol):
    """A session whose runs can be stopped."""

    def run(
        self, names: Sequence[str] | None, feed: Mapping[str, Any], options: ort.RunOptions | None = None
    ) -> Sequence[Any]: ...
    def run_with_ort_values(
        self, names: Sequence[str], feed: Mapping[str, ort.OrtValue], options: ort.RunOptions | None = None
    ) -> Sequence[ort.OrtValue]: ...


class BoundSession:
    """Binds inputs and outputs to GPU memory, so that a run does not wait for the copy of each in turn.

    Tested with host memory; not tested on a GPU so far.
    """

    def __init__(self, session: ort.InferenceSession, device: int) -> None:
        self._session = session
        self._device = device
        self._outputs = [node.name for node in session.get_outputs()]

    def run(
        self,
        names: Sequence[str] | None,
        feed: Mapping[str, NDArray[np.generic]],
        options: ort.RunOptions | None = None,
    ) -> Sequence[NDArray[Any]]:
        binding = self._session.io_binding()
        for name, array in feed.items():
            # np.ascontiguousarray would add an axis to a scalar.
            value = ort.OrtValue.ortvalue_from_numpy(np.asarray(array, order="C"), GPU_MEMORY, self._device)
            binding.bind_ortvalue_input(name, value)
        for name in names or self._outputs:
            binding.bind_output(name, GPU_MEMORY, self._device)
        self._session.run_with_iobinding(binding, options)
        arrays: Sequence[NDArray[Any]] = binding.copy_outputs_to_cpu()
        return arrays

    def run_with_ort_values(
        self, names: Sequence[str], feed: Mapping[str, ort.OrtValue], options: ort.RunOptions | None = None
    ) -> Sequence[ort.OrtValue]:
        values: Sequence[ort.OrtValue] = self._session.run_with_ort_values(names, feed, options)
        return values

    def get_inputs(self) -> Sequence[ort.NodeArg]:
        return self._session.get_inputs()  # type: ignore[no-any-return]

    def get_outputs(self) -> Sequence[ort.NodeArg]:
        return self._session.get_outputs()  # type: ignore[no-any-return]

    def get_providers(self) -> Sequence[str]:
        return self._session.get_providers()  # type: ignore[no-any-return]


def bind(session: ort.InferenceSession, device: int) -> OrtSession:
    """Return a session bound to GPU memory on a GPU; on the CPU, where binding gains nothing, the session itself.

    Graphs with strings or sequences as inputs or outputs are not bound: GPU memory cannot hold them.
    """
    nodes = (*session.get_inputs(), *session.get_outputs())
    numeric = all(node.type.startswith("tensor(") and node.type != "tensor(string)" for node in nodes)
    if on_gpu(session.get_providers()[0]) and numeric:
        return BoundSession(session, device)
    return session  # type: ignore[no-any-return]
