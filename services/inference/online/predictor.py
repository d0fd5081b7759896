"""The only place that answers a batch of questions."""

import time
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from prometheus_client import Histogram

from contract.artifacts import Bucket, ObjectRef
from contract.errors import BadImage
from contract.images import ImageSpec
from contract.inference import Answer, Artifact, EncodedImage, Failure, Question, Target, Tensors
from media import images
from messaging.responder import BatchAnswers
from services.inference.engine.model import LoadedModel
from services.inference.engine.postprocess import answers
from services.inference.engine.tensors import TensorRunner
from services.inference.metrics import BATCH_SIZE, INFERENCE_SECONDS
from services.inference.online.cache import ModelCache

LARGE_FILE = 16 * 1024  # bytes; a smaller picture is decoded sooner than a thread takes it over


class Predictor:
    """Answers questions to any model that its cache can load."""

    def __init__(self, models: ModelCache, decode_threads: int) -> None:
        self._models = models
        self._pool = ThreadPoolExecutor(decode_threads, thread_name_prefix="decode")

    def respond(self, target: Target, questions: tuple[Question, ...]) -> BatchAnswers:
        """Answers in the order of the questions; one that fails leaves the others alone.

        Raises what ModelCache.get raises, and Unavailable if ONNX Runtime fails.
        """
        model = self._models.get(_ref(target.artifact))
        payloads = [question.payload for question in questions]
        pictures = [payload for payload in payloads if isinstance(payload, EncodedImage)]
        tensors = [payload for payload in payloads if isinstance(payload, Tensors)]
        decoded = self._decode(pictures, model.card.preprocessing.image) if pictures else []
        started = time.perf_counter()
        of_pictures = iter(_classify(model, pictures, decoded) if pictures else ())
        of_tensors = iter(TensorRunner(model.session, target.batched, model.batch).answer(tensors) if tensors else ())
        seconds = time.perf_counter() - started
        took, size = _measures(target.model, target.version)
        took.observe(seconds)
        size.observe(len(questions))
        return BatchAnswers(
            answers=[next(of_pictures if isinstance(payload, EncodedImage) else of_tensors) for payload in payloads],
            inference_ms=seconds * 1000,
            provider=model.provider,
            max_batch=model.batch,
        )

    def _decode(self, pictures: list[EncodedImage], spec: ImageSpec) -> list[NDArray[np.uint8] | Failure]:
        def decode(picture: EncodedImage) -> NDArray[np.uint8] | Failure:
            try:
                return images.decode(picture.file, spec)
            except BadImage as error:
                return Failure(error.code, error.message)

        worth_threads = len(pictures) > 1 and max(len(picture.file) for picture in pictures) >= LARGE_FILE
        return list(self._pool.map(decode, pictures) if worth_threads else map(decode, pictures))


def _classify(
    model: LoadedModel, pictures: list[EncodedImage], decoded: list[NDArray[np.uint8] | Failure]
) -> list[Answer]:
    good = [index for index, pixels in enumerate(decoded) if not isinstance(pixels, Failure)]
    batch = np.array([decoded[index] for index in good], np.uint8)
    logits = model.run(batch.reshape(-1, *model.card.preprocessing.image.shape))
    said = iter(answers(logits, model.card.labels, [pictures[index].top_k for index in good]))
    return [pixels if isinstance(pixels, Failure) else next(said) for pixels in decoded]


@lru_cache(maxsize=1024)
def _ref(artifact: Artifact) -> ObjectRef:
    return ObjectRef(bucket=Bucket(artifact.bucket), key=artifact.key, size=artifact.size, sha256=artifact.sha256)


@lru_cache(maxsize=1024)
def _measures(model: str, version: int) -> tuple[Histogram, Histogram]:
    """The seconds and the batch sizes of a version."""
    return INFERENCE_SECONDS.labels(model, version), BATCH_SIZE.labels(model, version)
