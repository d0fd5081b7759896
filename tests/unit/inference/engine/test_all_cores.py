"""A model that answers many images at once with all cores."""

from pathlib import Path

import numpy as np
import pytest

from contract.errors import BadModel, Invalid
from services.inference.engine import all_cores
from services.inference.engine.all_cores import AllCoresModel
from tests.support.onnx_models import expected_logits, linear, random_images


@pytest.mark.parametrize("cores", [1, 3])
@pytest.mark.parametrize("count", [1, 5, 700])
def test_each_image_gets_its_logits(cores: int, count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = np.linspace(-1, 1, 144 * 3, dtype=np.float32).reshape(144, 3)
    (tmp_path / "model.onnx").write_bytes(linear(weights=weights))
    monkeypatch.setattr(all_cores, "available_cores", lambda: cores)
    images = random_images(count)

    logits = AllCoresModel(tmp_path / "model.onnx").run(images)

    np.testing.assert_allclose(logits, expected_logits(images, weights), rtol=1e-5, atol=1e-4)


def test_errors_of_a_core_reach_the_caller(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(linear())
    with pytest.raises(Invalid, match=r"\(n, 3, 8, 6\)"):
        AllCoresModel(tmp_path / "model.onnx").run(np.zeros((2, 3, 9, 9), np.uint8))


def test_a_model_without_a_card_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(linear(card=None))
    with pytest.raises(BadModel):
        AllCoresModel(tmp_path / "model.onnx")
