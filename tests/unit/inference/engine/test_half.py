"""Conversion of graphs to half precision."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto

from contract.errors import BadModel
from services.inference.engine.half import to_half_precision
from tests.support.onnx_models import linear

MODEL = linear()


def logits(file: bytes) -> np.ndarray:
    images = np.random.default_rng(0).normal(size=(5, 3, 8, 6)).astype(np.float32)
    (output,) = ort.InferenceSession(file, providers=["CPUExecutionProvider"]).run(None, {"images": images})
    return np.asarray(output)


def test_half_precision_gives_nearly_the_same_logits() -> None:
    half = logits(to_half_precision(MODEL, None))

    assert half.dtype == np.float32
    np.testing.assert_allclose(half, logits(MODEL), rtol=0, atol=1e-2)


def test_weights_become_float16_and_metadata_is_kept() -> None:
    before, after = onnx.load_from_string(MODEL), onnx.load_from_string(to_half_precision(MODEL, None))

    assert [weights.data_type for weights in after.graph.initializer] == [TensorProto.FLOAT16]
    assert list(after.metadata_props) == list(before.metadata_props)


def test_the_result_is_cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = to_half_precision(MODEL, tmp_path / "graphs")
    monkeypatch.setattr(onnx, "load_from_string", None)  # makes every further conversion fail

    assert to_half_precision(MODEL, tmp_path / "graphs") == first
    with pytest.raises(BadModel):
        to_half_precision(linear(seed=1), tmp_path / "graphs")


@pytest.mark.parametrize("damage", [b"", b"short", bytes(4000)])
def test_a_damaged_cache_entry_is_replaced(damage: bytes, tmp_path: Path) -> None:
    first = to_half_precision(MODEL, tmp_path)
    (cached,) = tmp_path.iterdir()
    whole = cached.read_bytes()
    cached.write_bytes(damage or whole[:-1])

    assert to_half_precision(MODEL, tmp_path) == first
    assert cached.read_bytes() == whole


def test_a_folder_that_cannot_be_written_only_disables_the_cache(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    assert to_half_precision(MODEL, tmp_path / "file" / "graphs") == to_half_precision(MODEL, None)


def test_a_graph_that_cannot_be_converted_is_rejected() -> None:
    with pytest.raises(BadModel, match="half precision"):
        to_half_precision(b"garbage", None)
