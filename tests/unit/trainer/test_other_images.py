"""Training a model further with images of another size or mode."""

from pathlib import Path

import pytest
import torch

from services.trainer.state import State
from services.trainer.worker import train
from tests.support.training_task import MemoryTask


@pytest.mark.usefixtures("no_variants")
@pytest.mark.parametrize(
    ("architecture", "shape", "method"),
    [("mlp", (3, 20, 12), "fine_tune"), ("cnn", (1, 8, 8), "fine_tune"), ("mlp", (1, 6, 6), "probe")],
    ids=["larger", "grey", "smaller and grey"],
)
def test_images_are_fitted_to_the_network(
    architecture: str, shape: tuple[int, int, int], method: str, tmp_path: Path
) -> None:
    folders = tmp_path / "first", tmp_path / "second"
    for folder in folders:
        folder.mkdir()
    first = MemoryTask(folders[0], auto=True, architecture={"name": architecture}, epochs=8, augment=False)
    start = train(first)
    epochs = {"epochs": 2, "augment": False} if method == "fine_tune" else {}
    second = MemoryTask(folders[1], auto=True, shape=shape, init_from="net", method=method, **epochs)
    second.objects.content = first.objects.content | second.objects.content
    second.models.published["net"] = start

    end = train(second)

    assert end.preprocessing is not None
    assert end.preprocessing.image.shape == shape
    assert len(end.preprocessing.mean) == shape[0]
    assert end.metrics is not None
    assert end.metrics.val is not None
    assert end.metrics.val.accuracy > 0.6
    assert end.state is not None
    state = State.from_bytes("net@2", second.objects.read(end.state))
    assert state.network(shape, state.labels).eval()(torch.zeros(1, *shape)).shape == (1, 3)
