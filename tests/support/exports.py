"""Exports to ONNX that are made once: they are slow, deterministic and make no external calls."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import nn


class CachedExport:
    """An export function whose last argument is the path, and which writes equal networks from memory."""

    def __init__(self, export: Callable[..., None]) -> None:
        self._export = export
        self._files: dict[tuple[Any, ...], bytes] = {}

    def __call__(self, network: nn.Module, *arguments: Any) -> None:
        *settings, path = arguments
        assert isinstance(path, Path)
        weights = b"".join(value.contiguous().numpy().tobytes() for value in network.state_dict().values())
        key = (str(network), weights, *settings)
        if key not in self._files:
            self._export(network, *arguments)
            self._files[key] = path.read_bytes()
        path.write_bytes(self._files[key])
