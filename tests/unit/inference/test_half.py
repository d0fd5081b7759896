"""Graphs of half precision."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto

from contract.errors import BadModel
from services.inference.half import halved
from tests.support.onnx_models import linear

MODEL = linear()


def logits(file: bytes) -> np.ndarray:
    images = np.random.default_rng(0).normal(size=(5, 3, 8, 6)).astype(np.float32)
    (made,) = ort.InferenceSession(file, providers=["CPUExecutionProvider"]).run(None, {"images": images})
    return np.asarray(made)


def test_half_precision_says_nearly_the_same() -> None:
    half = logits(halved(MODEL, None))

    assert half.dtype == np.float32
    np.testing.assert_allclose(half, logits(MODEL), rtol=0, atol=1e-2)


def test_weights_are_halved_and_metadata_stays() -> None:
    before, after = onnx.load_from_string(MODEL), onnx.load_from_string(halved(MODEL, None))

    assert [weights.data_type for weights in after.graph.initializer] == [TensorProto.FLOAT16]
    assert list(after.metadata_props) == list(before.metadata_props)


def test_the_result_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = halved(MODEL, tmp_path / "graphs")
    monkeypatch.setattr(onnx, "load_from_string", None)  # so that nothing can be converted any more

    assert halved(MODEL, tmp_path / "graphs") == first
    with pytest.raises(BadModel):
        halved(linear(seed=1), tmp_path / "graphs")


@pytest.mark.parametrize("damage", [b"", b"short", bytes(4000)])
def test_a_damaged_result_is_made_anew(damage: bytes, tmp_path: Path) -> None:
    first = halved(MODEL, tmp_path)
    (kept,) = tmp_path.iterdir()
    whole = kept.read_bytes()
    kept.write_bytes(damage or whole[:-1])

    assert halved(MODEL, tmp_path) == first
    assert kept.read_bytes() == whole


def test_a_folder_that_takes_nothing_costs_only_time(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    assert halved(MODEL, tmp_path / "file" / "graphs") == halved(MODEL, None)


def test_what_cannot_be_converted_is_refused() -> None:
    with pytest.raises(BadModel, match="half precision"):
        halved(b"garbage", None)
