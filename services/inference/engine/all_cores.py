"""A model that answers many images at once with all cores, for measurements rather than for requests."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from contract.control_groups import available_cores
from contract.models import ModelCard
from contract.training import TensorSignature
from services.inference.engine.loader import ModelLoader
from services.inference.engine.model import LoadedModel
from services.inference.engine.providers import Placement, on_gpu
from services.inference.settings import InferenceSettings

BATCH = 64
BATCH_VALUES = 2**18  # of the input, in one batch on a CPU, so that activations stay in the cache of a core


class AllCoresModel:
    """Runs each batch on one core and as many batches at once as there are cores; on a GPU, one batch at a time.

    On two cores, EfficientNet-Lite0 answers 200 images a second this way, and 140 if the cores share each batch. An
    image's logits do not depend on the number of cores.
    """

    def __init__(self, file: Path, placement: Placement | None = None) -> None:
        """Load the file; raises BadModel, Unavailable."""
        placement = placement or Placement()
        run_s = InferenceSettings().run_s
        model = ModelLoader(1, 1, placement, run_s).load(file)
        gpu, values = on_gpu(model.provider), int(np.prod(model.card.preprocessing.image.shape))
        batch = BATCH if gpu else max(1, min(BATCH, BATCH_VALUES // values))
        # One session, with a buffer of images for each core.
        self._models = [
            LoadedModel(model.session, model.card, batch, run_s) for _ in range(1 if gpu else available_cores())
        ]
        for copy in self._models:
            copy.warm_up()

    @property
    def card(self) -> ModelCard:
        return self._models[0].card

    @property
    def inputs(self) -> tuple[TensorSignature, ...]:
        return self._models[0].inputs

    @property
    def outputs(self) -> tuple[TensorSignature, ...]:
        return self._models[0].outputs

    @property
    def provider(self) -> str:
        return self._models[0].provider

    def run(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return logits float32 (n, classes) for images uint8 (n, channels, height, width); see `LoadedModel.run`."""
        logits = np.empty((len(images), len(self.card.labels)), np.float32)

        def answer(number: int, model: LoadedModel) -> None:
            step = model.max_batch
            for start in range(number * step, len(images), len(self._models) * step):
                logits[start : start + step] = model.run(images[start : start + step])

        with ThreadPoolExecutor(len(self._models)) as threads:
            list(threads.map(answer, range(len(self._models)), self._models))
        return logits
