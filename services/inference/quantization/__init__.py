"""Variants of a model: the modules here import ONNX Runtime's tools, after the seam has switched its telemetry off."""

import services.inference.engine.onnx_runtime  # noqa: F401
