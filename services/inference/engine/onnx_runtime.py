"""Import ONNX Runtime with its telemetry switched off, and list the errors that it raises.

Since 1.29, ONNX Runtime sends usage data unless this variable is set before the import. Without a route to its
vendor's host, a process then takes up to ten seconds longer to end.
https://github.com/microsoft/onnxruntime/blob/main/docs/Privacy.md
"""

import contextlib
import os
import sys
from functools import cache

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as ort_state

__all__ = ["DEVICE_ERRORS", "ORT_ERRORS", "load_gpu_libraries", "ort"]

# These share no base class.
ORT_ERRORS: tuple[type[Exception], ...] = (
    ort_state.EPFail,
    ort_state.EngineError,
    ort_state.Fail,
    ort_state.InvalidArgument,
    ort_state.InvalidGraph,
    ort_state.InvalidProtobuf,
    ort_state.ModelRequiresCompilation,
    ort_state.NoModel,
    ort_state.NoSuchFile,
    ort_state.NotFound,
    ort_state.NotImplemented,
    ort_state.RuntimeException,
    RuntimeError,
    ValueError,
)

# Caused by the device or the build. Other errors while a loaded graph runs are caused by its inputs.
DEVICE_ERRORS: tuple[type[Exception], ...] = (ort_state.EPFail, ort_state.EngineError, ort_state.NotImplemented)


@cache
def load_gpu_libraries() -> None:
    """Load the CUDA and cuDNN libraries of the pip packages once, which the dynamic linker does not find by itself.

    Without them, ONNX Runtime silently runs on the CPU. What is missing is printed to stderr.
    """
    with contextlib.redirect_stdout(sys.stderr):
        ort.preload_dlls()
