"""Running a loaded model."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from contract.errors import Invalid
from contract.images import ImageSpec
from contract.models import ModelCard
from services.inference.engine.loader import ModelLoader
from services.inference.engine.model import INPUT_BYTES
from services.inference.engine.session import Session
from services.inference.engine.watchdog import LimitedSession
from tests.support.onnx_classifiers import SIZE, classifier, with_card
from tests.support.onnx_models import CARD, expected_logits, linear, random_images

WEIGHTS = np.random.default_rng(1).normal(0, 0.1, (144, 3)).astype(np.float32)


class RecordingSession:
    """A session that records the sizes of its batches."""

    def __init__(self, session: Session, sizes: list[int]) -> None:
        self._session = session
        self._sizes = sizes

    def run(self, names: list[str] | None, feed: dict[str, np.ndarray]) -> Sequence[np.ndarray]:
        self._sizes.append(len(feed["images"]))
        return self._session.run(names, feed)

    def get_providers(self) -> Sequence[str]:
        return self._session.get_providers()


def resized(height: int, width: int) -> ModelCard:
    image = ImageSpec(size=(height, width))
    return CARD.model_copy(update={"preprocessing": CARD.preprocessing.model_copy(update={"image": image})})


def test_logits_match_the_definition_of_the_preprocessing() -> None:
    images = random_images(5)

    logits = ModelLoader().load(linear(weights=WEIGHTS)).run(images)

    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits, expected_logits(images, WEIGHTS), rtol=0, atol=1e-5)


@pytest.mark.parametrize("count", [1, 3, 4, 5, 11])
def test_splitting_into_batches_does_not_change_the_logits(count: int) -> None:
    images, model = random_images(11), linear(weights=WEIGHTS)

    logits = ModelLoader(max_batch=4).load(model).run(images[:count])

    np.testing.assert_allclose(logits, ModelLoader(max_batch=64).load(model).run(images)[:count], rtol=0, atol=1e-6)


def test_no_images_give_no_logits() -> None:
    assert ModelLoader().load(linear()).run(random_images(0)).shape == (0, 3)


def test_threads_can_share_a_model() -> None:
    model, batches = ModelLoader().load(linear(weights=WEIGHTS)), [random_images(8, seed=seed) for seed in range(40)]

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(model.run, batches))

    for images, logits in zip(batches, answers, strict=True):
        np.testing.assert_allclose(logits, expected_logits(images, WEIGHTS), rtol=0, atol=1e-5)


def test_logits_are_not_overwritten_by_the_next_run() -> None:
    model, images = ModelLoader().load(linear(weights=WEIGHTS)), random_images(2)

    first = model.run(images)
    model.run(random_images(2, seed=9))

    np.testing.assert_allclose(first, expected_logits(images, WEIGHTS), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "images", [np.zeros((2, 3, 6, 8), np.uint8), np.zeros((2, 3, 8, 6), np.float32), np.zeros((3, 8, 6), np.uint8)]
)
def test_arrays_of_another_shape_or_type_are_rejected(images: np.ndarray) -> None:
    with pytest.raises(Invalid, match=r"uint8 \(n, 3, 8, 6\)"):
        ModelLoader().load(linear()).run(images)


def test_large_images_run_in_smaller_batches() -> None:
    card = resized(700, 700)

    model = ModelLoader(max_batch=64).load(linear(card))

    assert 0 < model.buffer_bytes <= INPUT_BYTES
    assert model.run(random_images(12, card)).shape == (12, 3)


def test_the_provider_is_the_one_in_use() -> None:
    assert ModelLoader().load(linear()).provider == "CPUExecutionProvider"


def test_the_signature_has_the_names_of_tensors_and_free_axes() -> None:
    model = ModelLoader().load(linear())

    assert [(tensor.name, tensor.dtype, tensor.shape) for tensor in model.inputs] == [
        ("images", "float32", ("batch", 3, 8, 6))
    ]
    assert [(tensor.name, tensor.dtype, tensor.shape) for tensor in model.outputs] == [
        ("logits", "float32", ("batch", 3))
    ]


@pytest.fixture
def fastest_at_four(monkeypatch: pytest.MonkeyPatch) -> None:
    """A device whose throughput is best at a batch of 4."""
    monkeypatch.setattr(
        "services.inference.engine.model.time_batches", lambda run, sizes: {size: max(size, 4) for size in sizes}
    )


@pytest.mark.usefixtures("gpu", "fastest_at_four")
def test_a_gpu_uses_the_batch_size_with_the_best_throughput() -> None:
    model = ModelLoader(max_batch=48).load(linear())

    assert model.batch == 4
    assert model.buffer_bytes == 4 * 3 * 8 * 6 * 4


@pytest.mark.usefixtures("fastest_at_four")
def test_the_cpu_keeps_the_configured_batch_size() -> None:
    assert ModelLoader(max_batch=48).load(linear()).batch == 48


def test_a_slow_model_gets_a_batch_that_ends_within_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    # given a model that takes 0.1 s for each image
    monkeypatch.setattr(LimitedSession, "run", slow_run(LimitedSession.run, 0.1))

    batches = {run_s: ModelLoader(max_batch=8, run_s=run_s).load(linear()).batch for run_s in (0.5, 1.2, 60.0)}

    assert batches == {0.5: 1, 1.2: 2, 60.0: 8}


@pytest.mark.parametrize(
    ("count", "seconds", "most"), [(1, 0.02, 5), (4, 0.02, 20), (4, 0.002, 48), (2, 1.0, 1), (48, 0.1, 48)]
)
def test_batches_on_a_cpu_take_at_most_a_tenth_of_a_second(count: int, seconds: float, most: int) -> None:
    assert ModelLoader(max_batch=48).load(linear()).next_batch(count, seconds) == most


@pytest.mark.usefixtures("gpu", "fastest_at_four")
def test_batches_on_a_gpu_keep_their_size_however_long_they_take() -> None:
    assert ModelLoader(max_batch=48).load(linear()).next_batch(4, 1.0) == 4


def slow_run(run: Callable[..., Any], seconds: float) -> Callable[..., Any]:
    def slow(session: LimitedSession, names: object, feed: dict[str, np.ndarray]) -> object:
        time.sleep(seconds * len(next(iter(feed.values()))))
        return run(session, names, feed)

    return slow


@pytest.mark.usefixtures("gpu", "fastest_at_four")
def test_a_fixed_batch_is_the_only_size_that_runs_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    file = with_card(classifier(shape=(3, 3, *SIZE), output=(3, 3)), CARD)
    model, sizes = ModelLoader(max_batch=48).load(file), []
    assert (model.batch, model.buffer_bytes) == (3, 3 * 3 * 8 * 6 * 4)
    monkeypatch.setattr(model, "session", RecordingSession(model.session, sizes))

    for count in (1, 3, 4):
        assert len(model.run(random_images(count))) == count

    assert sizes == [3, 3, 3, 3]


@pytest.mark.parametrize("count", [1, 3, 4, 11])
@pytest.mark.usefixtures("gpu", "fastest_at_four")
def test_a_gpu_gives_the_logits_of_the_cpu(count: int) -> None:
    images = random_images(count)

    logits = ModelLoader(max_batch=48).load(linear(weights=WEIGHTS)).run(images)

    np.testing.assert_allclose(logits, expected_logits(images, WEIGHTS), rtol=0, atol=1e-5)


@pytest.mark.usefixtures("gpu", "fastest_at_four")
def test_a_gpu_runs_only_warmed_up_batch_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    model, sizes = ModelLoader(max_batch=48).load(linear()), []
    monkeypatch.setattr(model, "session", RecordingSession(model.session, sizes))

    for count in (1, 2, 3, 4, 7, 9):
        model.run(random_images(count))

    assert sizes == [1, 2, 4, 4, *(4, 4), *(4, 4, 1)]
