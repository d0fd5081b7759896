"""Answer batches of online prediction requests."""

import time
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import repeat

import numpy as np
from msgspec import structs
from numpy.typing import NDArray
from prometheus_client import Histogram

from contract.artifacts import Bucket, ObjectRef
from contract.errors import BadImage
from contract.images import ImageSpec
from contract.inference import Answer, Artifact, EncodedImage, Failure, Question, Scores, Target, Tensors
from contract.tracing import span
from media import images
from messaging.answering import BatchAnswers
from messaging.version_labels import version_labels
from services.inference.engine.model import LoadedModel
from services.inference.engine.postprocess import entropy, probabilities, top_scores
from services.inference.metrics import BATCH_SIZE, INFERENCE_SECONDS
from services.inference.online.cache import ModelCache
from services.inference.online.counting import DriftCounting

LARGE_FILE = 16 * 1024  # bytes; smaller images decode faster than a thread starts on them


class OnlinePredictor:
    """Answers questions with models from a cache."""

    def __init__(self, models: ModelCache, decode_threads: int, drift: DriftCounting | None = None) -> None:
        """`drift` counts the answers to images, except those that were asked again for a copy."""
        self._models = models
        self._drift = drift
        self._pool = ThreadPoolExecutor(decode_threads, thread_name_prefix="decode")

    def respond(self, target: Target, questions: tuple[Question, ...]) -> BatchAnswers:
        """Return one answer per question, in order; a question that fails does not affect the others.

        Raises what ModelCache.get raises, and Unavailable if ONNX Runtime fails.
        """
        model = self._models.get(_ref(target.artifact))
        payloads = [question.payload for question in questions]
        encoded = [payload for payload in payloads if isinstance(payload, EncodedImage)]
        tensors = [payload for payload in payloads if isinstance(payload, Tensors)]
        with span("decode"):
            decoded = self._decode(encoded, model.card.preprocessing.image) if encoded else []
        copies = self._copies(encoded)
        started = time.perf_counter()
        with span("run", {"tidepool.provider": model.provider}):
            classified = _classify(model, encoded, decoded, copies) if encoded else []
            tensor_answers = iter(model.tensor_runner(target.batched).answer(tensors) if tensors else ())
        seconds = time.perf_counter() - started
        durations, sizes = _histograms(target.label, target.version)
        durations.observe(seconds)
        sizes.observe(len(questions))
        if self._drift is not None and (first := [at for at, image in enumerate(encoded) if not image.copy]):
            files = [encoded[at].file for at in first]
            self._drift.count(target, [classified[at] for at in first], files, [decoded[at] for at in first])
        image_answers = iter(classified)
        return BatchAnswers(
            answers=[
                next(image_answers if isinstance(payload, EncodedImage) else tensor_answers) for payload in payloads
            ],
            inference_ms=seconds * 1000,
            provider=model.provider,
            max_batch=model.next_batch(len(questions), seconds),
        )

    def _decode(self, encoded: list[EncodedImage], spec: ImageSpec) -> list[NDArray[np.uint8] | Failure]:
        files, specs = [image.file for image in encoded], repeat(spec)
        worth_threads = len(files) > 1 and max(map(len, files)) >= LARGE_FILE
        return list((self._pool.map if worth_threads else map)(_decoded, files, specs))

    def _copies(self, encoded: list[EncodedImage]) -> dict[int, bytes]:
        """Return the copies that were asked for and can be made, by the position of the image."""
        positions = [position for position, image in enumerate(encoded) if image.copy]

        def copy(position: int) -> bytes:
            try:
                return images.clean_copy(encoded[position].file)
            except BadImage:
                return b""

        return dict(zip(positions, self._pool.map(copy, positions), strict=True)) if positions else {}


def _decoded(file: bytes, spec: ImageSpec) -> NDArray[np.uint8] | Failure:
    try:
        return images.decode(file, spec)
    except BadImage as error:
        return Failure(error.code, error.message)


def _classify(
    model: LoadedModel,
    encoded: list[EncodedImage],
    decoded: list[NDArray[np.uint8] | Failure],
    copies: dict[int, bytes],
) -> list[Answer]:
    good = [index for index, pixels in enumerate(decoded) if not isinstance(pixels, Failure)]
    batch = np.array([decoded[index] for index in good], np.uint8)
    logits = model.run(batch.reshape(-1, *model.card.preprocessing.image.shape))
    counts = [encoded[index].top_k for index in good]
    scores = iter(top_scores(logits, model.card.labels, counts, model.card.output))
    answers: list[Answer] = [pixels if isinstance(pixels, Failure) else next(scores) for pixels in decoded]
    for position, copy in copies.items():
        if isinstance(answer := answers[position], Scores):
            own = probabilities(logits[good.index(position)], model.card.output)
            answers[position] = structs.replace(answer, entropy=entropy(own), copy=copy)
    return answers


@lru_cache(maxsize=1024)
def _ref(artifact: Artifact) -> ObjectRef:
    return ObjectRef(bucket=Bucket(artifact.bucket), key=artifact.key, size=artifact.size, sha256=artifact.sha256)


@lru_cache(maxsize=1024)
def _histograms(model: str, version: int) -> tuple[Histogram, Histogram]:
    """Return the histograms of a version's inference seconds and batch sizes."""
    labels = version_labels.of(model, version)
    return INFERENCE_SECONDS.labels(*labels), BATCH_SIZE.labels(*labels)
