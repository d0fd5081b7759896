"""The only place that answers a batch of encoded pictures."""

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from contract.errors import BadImage
from contract.images import ImageSpec
from contract.predictions import PredictCall, PredictReply
from runtime import images
from services.inference.cache import ModelCache
from services.inference.metrics import BATCH_SIZE, INFERENCE_SECONDS
from services.inference.postprocess import failed, results

LARGE_FILE = 16 * 1024  # bytes; a smaller picture is decoded sooner than a thread takes it over


class Predictor:
    """Answers calls for any model that its cache can load."""

    def __init__(self, models: ModelCache, decode_threads: int) -> None:
        self._models = models
        self._pool = ThreadPoolExecutor(decode_threads, thread_name_prefix="decode")

    def predict(self, call: PredictCall) -> PredictReply:
        """Results in the order of the call's pictures; one that fails has its error and leaves the others alone.

        Raises what ModelCache.get raises, and Unavailable if ONNX Runtime fails.
        """
        model = self._models.get(call.artifact)
        decoded = self._decode(call.images, model.card.preprocessing.image)
        pixels = [picture for picture in decoded if not isinstance(picture, BadImage)]
        batch = np.array(pixels, np.uint8).reshape(-1, *model.card.preprocessing.image.shape)
        started = time.perf_counter()
        logits = model.run(batch)
        seconds = time.perf_counter() - started
        INFERENCE_SECONDS.labels(call.model, call.version).observe(seconds)
        BATCH_SIZE.labels(call.model, call.version).observe(len(batch))
        answers = iter(results(logits, model.card.labels, call.top_k))
        return PredictReply(
            results=tuple(failed(one) if isinstance(one, BadImage) else next(answers) for one in decoded),
            inference_ms=seconds * 1000,
            provider=model.provider,
        )

    def _decode(self, files: tuple[bytes, ...], spec: ImageSpec) -> list[NDArray[np.uint8] | BadImage]:
        def decode(file: bytes) -> NDArray[np.uint8] | BadImage:
            try:
                return images.decode(file, spec)
            except BadImage as error:
                return error

        worth_threads = len(files) > 1 and max(map(len, files)) >= LARGE_FILE
        return list(self._pool.map(decode, files) if worth_threads else map(decode, files))
