"""The only place that imports ONNX Runtime, which sends nobody a word about its use.

Since 1.29 it does unless this variable is set before its import. It looks for its maker's host then, and where no
network leads there, a process takes up to ten seconds longer to end.
https://github.com/microsoft/onnxruntime/blob/main/docs/Privacy.md
"""

import os

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as ort_state

__all__ = ["ort", "ort_state"]
