"""Answers to batches of online requests."""

import io
import math
from collections.abc import Sequence
from datetime import date

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from contract.artifacts import Bucket, ObjectRef
from contract.drift import DriftCounts
from contract.errors import BadModel, Corrupt
from contract.inference import Answer, Artifact, EncodedImage, Failure, Question, Scores, Target
from contract.models import ModelCard, Output
from messaging.answering import BatchAnswers
from services.inference.engine.loader import ModelLoader
from services.inference.engine.postprocess import softmax
from services.inference.online.cache import ModelCache
from services.inference.online.counting import DriftCounting
from services.inference.online.predictor import LARGE_FILE, OnlinePredictor
from services.storage.memory_objects import MemoryObjects
from tests.support.onnx_classifiers import LOGITS, SIGMOID, SIZE, SOFTMAX, Nodes, classifier, with_card
from tests.support.onnx_models import CARD, expected_logits, linear, random_images

WEIGHTS = np.random.default_rng(1).normal(0, 0.1, (144, 3)).astype(np.float32)


MEAN, STD = (np.array(values).reshape(3, 1, 1) for values in (CARD.preprocessing.mean, CARD.preprocessing.std))


def card(**changes: object) -> ModelCard:
    return CARD.model_copy(update=changes)


def png(pixels: NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels.transpose(1, 2, 0)).save(file, "PNG")
    return file.getvalue()


def ask(files: Sequence[bytes], *, top_k: int = 3, model: bytes | None = None, max_batch: int = 64) -> BatchAnswers:
    objects = MemoryObjects()
    artifact = objects.put(Bucket.JOBS, "model.onnx", model or linear(weights=WEIGHTS))
    models = ModelCache(ModelLoader(max_batch=max_batch), objects.read, 2**30)
    questions = tuple(Question(EncodedImage(file, top_k), 0.0, "") for file in files)
    return OnlinePredictor(models, decode_threads=2).respond(target(artifact), questions)


def target(artifact: ObjectRef) -> Target:
    return Target("tiny", 1, Artifact(**artifact.model_dump(mode="json")))


def scores(answer: Answer) -> list[float]:
    """Return the scores in the order of the card's labels."""
    assert isinstance(answer, Scores)
    return [dict(answer.best)[label] for label in CARD.labels]


def test_scores_are_the_softmax_of_the_logits() -> None:
    images = random_images(9)

    reply = ask([png(image) for image in images])

    expected = softmax(expected_logits(images, WEIGHTS).astype(np.float32))
    np.testing.assert_allclose([scores(result) for result in reply.answers], expected, atol=1e-5)
    assert reply.provider == "CPUExecutionProvider"
    assert reply.inference_ms > 0


@pytest.mark.parametrize(
    ("head", "output"), [(SOFTMAX, "probabilities"), (SIGMOID, "probabilities"), (LOGITS, "logits")]
)
def test_scores_of_a_model_that_gives_probabilities_are_its_outputs(head: Nodes, output: Output) -> None:
    images = random_images(3)
    inputs = (images / 255 - MEAN) / STD
    raw = ModelLoader().load(classifier(SIGMOID if head is SIGMOID else SOFTMAX))
    (expected,) = raw.session.run(None, {"images": inputs.astype(np.float32)})

    reply = ask([png(image) for image in images], model=with_card(classifier(head), card(output=output)))

    np.testing.assert_allclose([scores(result) for result in reply.answers], expected, atol=1e-5)


def test_a_graph_with_a_fixed_batch_answers_any_number_of_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.inference.engine.model.BATCH_S", 0.0)  # it is not for such graphs
    files = [png(image) for image in random_images(5)]
    expected = [scores(result) for result in ask(files, model=with_card(classifier(), card())).answers]

    for batch in (1, 2):
        fixed = with_card(classifier(shape=(batch, 3, *SIZE), output=(batch, 3)), card())
        reply = ask(files, model=fixed)
        assert reply.max_batch == batch
        np.testing.assert_allclose([scores(result) for result in reply.answers], expected, atol=1e-5)


def test_answers_hold_only_the_top_k_classes() -> None:
    images = random_images(4)

    reply = ask([png(image) for image in images], top_k=1)

    best = [CARD.labels[index] for index in expected_logits(images, WEIGHTS).argmax(axis=1)]
    assert [[label for label, _ in result.best] for result in reply.answers if isinstance(result, Scores)] == [
        [label] for label in best
    ]


def test_an_unreadable_image_fails_alone() -> None:
    files = [png(image) for image in random_images(6)]
    alone = [scores(ask([file]).answers[0]) for file in files]

    results = ask([files[0], b"not an image", *files[1:5], files[5][:60], files[5]]).answers

    failed = {index: result.code for index, result in enumerate(results) if isinstance(result, Failure)}
    assert failed == {1: "bad_image", 6: "bad_image"}
    good = [result for result in results if not isinstance(result, Failure)]
    np.testing.assert_allclose([scores(result) for result in good], alone, rtol=0, atol=1e-5)


def test_the_order_is_kept_across_several_batches() -> None:
    files = [png(image) for image in random_images(70)]

    small, large = ask(files, max_batch=4), ask(files, max_batch=128)

    np.testing.assert_allclose(
        [scores(result) for result in small.answers], [scores(result) for result in large.answers], rtol=0, atol=1e-6
    )


def test_the_order_is_kept_when_threads_decode() -> None:
    rng = np.random.default_rng(0)
    files = [png(rng.integers(0, level, (3, 120, 90), np.uint8, endpoint=True)) for level in (255, 128, 64, 255)]
    assert max(map(len, files)) > LARGE_FILE

    together = ask([*files, b"not an image"]).answers

    alone = [scores(ask([file]).answers[0]) for file in files]
    np.testing.assert_allclose([scores(result) for result in together[:-1]], alone, rtol=0, atol=1e-5)
    assert isinstance(together[-1], Failure)


@pytest.mark.parametrize("files", [[], [b"junk"], [b"junk", b""]])
def test_a_batch_without_readable_images_gets_failures(files: list[bytes]) -> None:
    answers = ask(files).answers

    assert [isinstance(answer, Failure) for answer in answers] == [True] * len(files)


def test_nan_scores_fail_each_image() -> None:
    diverged = linear(weights=np.full((144, 3), np.nan, np.float32))

    (answer,) = ask([png(random_images(1)[0])], model=diverged).answers

    assert answer == Failure("bad_model", "the model's output for this image is not a number")


def test_a_broken_model_fails_the_whole_batch() -> None:
    with pytest.raises(BadModel):
        ask([png(random_images(1)[0])], model=b"garbage")


def test_a_corrupt_artifact_fails_the_whole_batch() -> None:
    objects = MemoryObjects()
    artifact = objects.put(Bucket.JOBS, "model.onnx", linear())
    objects.put(Bucket.JOBS, "model.onnx", linear(seed=5))

    predictor = OnlinePredictor(ModelCache(ModelLoader(), objects.read, 2**30), decode_threads=1)

    with pytest.raises(Corrupt):
        predictor.respond(target(artifact), (Question(EncodedImage(b""), 0.0, ""),))


def test_a_copy_without_metadata_comes_with_the_scores_of_the_images_that_ask_for_it() -> None:
    objects = MemoryObjects()
    models = ModelCache(ModelLoader(max_batch=8), objects.read, 2**30)
    artifact = target(objects.put(Bucket.JOBS, "model.onnx", linear(weights=WEIGHTS)))
    file = png(random_images(1)[0])
    payloads = (EncodedImage(file), EncodedImage(b"bad", copy=True), EncodedImage(file, copy=True))

    reply = OnlinePredictor(models, 2).respond(artifact, tuple(Question(payload, 0.0, "") for payload in payloads))

    plain, bad, copied = reply.answers
    assert isinstance(plain, Scores)
    assert isinstance(bad, Failure)
    assert isinstance(copied, Scores)
    assert (plain.copy, plain.entropy) == (b"", None)
    assert (copied.best, copied.margin) == (plain.best, plain.margin)
    assert copied.entropy is not None
    assert 0 < copied.entropy <= math.log(len(CARD.labels))
    with Image.open(io.BytesIO(copied.copy)) as copy:
        assert copy.format == "PNG"


def test_a_question_for_a_copy_is_not_counted_as_a_prediction() -> None:
    objects, stored = MemoryObjects(), list[DriftCounts]()
    models = ModelCache(ModelLoader(max_batch=8), objects.read, 2**30)
    drift = DriftCounting(lambda version, day, counts: stored.append(counts), lambda: date(2026, 1, 31))
    predictor = OnlinePredictor(models, 2, drift)
    artifact = target(objects.put(Bucket.JOBS, "model.onnx", linear(weights=WEIGHTS)))
    file = png(random_images(1)[0])

    for copies in ((False, True, False), (True,)):
        predictor.respond(artifact, tuple(Question(EncodedImage(file, copy=copy), 0.0, "") for copy in copies))
    drift.write()

    assert [counts.predictions for counts in stored] == [2]
