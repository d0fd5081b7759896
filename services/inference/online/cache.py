"""A cache of loaded models, bounded by their memory."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future

from contract.artifacts import ObjectRef
from contract.tracing import span
from services.inference.engine.loader import ModelLoader
from services.inference.engine.model import LoadedModel
from services.inference.metrics import CACHE_BYTES, MODEL_EVICTIONS, MODEL_HITS, MODEL_LOADS, MODELS_LOADED

# A session holds the file, the weights and their packed form: measured 2 for dense layers, 3.8 for 3×3 kernels.
WEIGHT_COPIES = 4


class ModelCache:
    """An LRU cache of models, by the hash of their artifact; thread-safe.

    A model counts as `WEIGHT_COPIES` times its file plus its input buffer. The newest model stays even if it exceeds
    the capacity alone. An evicted model lives until its last user releases it.
    """

    def __init__(self, loader: ModelLoader, fetch: Callable[[ObjectRef], bytes], capacity: int) -> None:
        """`fetch` reads an artifact and checks its hash; `capacity` is in bytes."""
        self._loader = loader
        self._fetch = fetch
        self._capacity = capacity
        self._models: OrderedDict[str, tuple[LoadedModel, int]] = OrderedDict()
        self._loading: dict[str, Future[LoadedModel]] = {}
        self._lock = threading.Lock()
        self._hits = 0  # not in the metrics yet, since this is done for every batch

    def get(self, artifact: ObjectRef) -> LoadedModel:
        """Return the artifact's model; concurrent calls share one load.

        Raises BadModel, or what `fetch` raises; a failure is not cached.
        """
        with self._lock:
            if artifact.sha256 in self._models:
                self._models.move_to_end(artifact.sha256)
                self._hits += 1
                return self._models[artifact.sha256][0]
            loading = self._loading.get(artifact.sha256)
            is_loader = loading is None
            if loading is None:
                loading = self._loading[artifact.sha256] = Future()
        if is_loader:
            self._load(artifact, loading)
        return loading.result()

    def count_hits(self) -> None:
        """Add the hits since the last call to the metrics."""
        with self._lock:
            hits, self._hits = self._hits, 0
        MODEL_HITS.inc(hits)

    def _load(self, artifact: ObjectRef, loading: Future[LoadedModel]) -> None:
        try:
            with span("load model", {"tidepool.object.bytes": artifact.size}):
                model = self._loader.load(self._fetch(artifact))
        except BaseException as error:  # noqa: BLE001  # every waiting thread must get the error
            MODEL_LOADS.labels("failed").inc()
            loading.set_exception(error)
        else:
            MODEL_LOADS.labels("loaded").inc()
            with self._lock:
                self._add(artifact, model)
            loading.set_result(model)
        finally:
            with self._lock:
                del self._loading[artifact.sha256]

    def _add(self, artifact: ObjectRef, model: LoadedModel) -> None:
        self._models[artifact.sha256] = (model, artifact.size * WEIGHT_COPIES + model.buffer_bytes)
        MODELS_LOADED.labels(model.provider).inc()
        while len(self._models) > 1 and self._bytes() > self._capacity:
            _, (evicted, _) = self._models.popitem(last=False)
            MODELS_LOADED.labels(evicted.provider).dec()
            MODEL_EVICTIONS.inc()
        CACHE_BYTES.set(self._bytes())

    def _bytes(self) -> int:
        return sum(size for _, size in self._models.values())
