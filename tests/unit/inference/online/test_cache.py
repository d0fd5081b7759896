"""The cache of loaded models."""

import hashlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from prometheus_client import REGISTRY

from contract.artifacts import Bucket, ObjectRef
from contract.errors import BadModel, ObjectsUnavailable
from services.inference.engine.loader import ModelLoader
from services.inference.online.cache import WEIGHT_COPIES, ModelCache
from tests.support.onnx_models import linear

FILES = {hashlib.sha256(file).hexdigest(): file for file in (linear(seed=seed) for seed in range(3))}
A, B, C = (
    ObjectRef(bucket=Bucket.JOBS, key=f"{sha256[:8]}/model.onnx", size=len(file), sha256=sha256)
    for sha256, file in FILES.items()
)
COST = A.size * WEIGHT_COPIES + ModelLoader().load(FILES[A.sha256]).buffer_bytes


class Store:
    """Records the artifacts that were fetched."""

    def __init__(self) -> None:
        self.fetched: list[ObjectRef] = []

    def __call__(self, artifact: ObjectRef) -> bytes:
        self.fetched.append(artifact)
        return FILES[artifact.sha256]


def cache(fetch: Callable[[ObjectRef], bytes], capacity: int = 100 * COST) -> ModelCache:
    return ModelCache(ModelLoader(), fetch, capacity)


def loaded() -> float:
    return REGISTRY.get_sample_value("tidepool_inference_loaded_models", {"provider": "CPUExecutionProvider"}) or 0


def test_a_model_is_fetched_once() -> None:
    store = Store()
    models = cache(store)

    assert models.get(A) is models.get(A)
    assert store.fetched == [A]


def test_the_same_bytes_under_another_key_are_the_same_model() -> None:
    models = cache(Store())

    assert models.get(A) is models.get(A.model_copy(update={"key": "another-key"}))


@pytest.mark.parametrize(("capacity", "count"), [(3 * COST, 3), (3 * COST - 1, 2), (COST, 1), (1, 1)])
def test_the_cache_keeps_as_many_models_as_fit(capacity: int, count: int) -> None:
    store, before = Store(), loaded()
    models = cache(store, capacity)

    for artifact in (A, B, C):
        models.get(artifact)

    assert loaded() - before == count
    for artifact in (C, B, A)[:count]:
        models.get(artifact)
    assert store.fetched == [A, B, C]


def test_the_least_recently_used_model_is_evicted_first() -> None:
    store = Store()
    models = cache(store, 2 * COST)

    for artifact in (A, B, A, C, A, B):
        models.get(artifact)

    assert store.fetched == [A, B, C, B]


def test_an_evicted_model_still_runs() -> None:
    models = cache(Store(), COST)
    evicted = models.get(A)

    models.get(B)

    assert models.get(A) is not evicted
    evicted.warm_up()


def test_concurrent_calls_share_one_load() -> None:
    store, together = Store(), threading.Barrier(8)
    models = cache(store)

    def get(_: int) -> int:
        together.wait()
        return id(models.get(A))

    with ThreadPoolExecutor(8) as pool:
        models_seen = set(pool.map(get, range(8)))

    assert len(models_seen) == 1
    assert store.fetched == [A]


def test_a_slow_load_does_not_block_other_models() -> None:
    started, release, store = threading.Event(), threading.Event(), Store()

    def slow_for_b(artifact: ObjectRef) -> bytes:
        if artifact == B:
            started.set()
            release.wait(10)
        return store(artifact)

    models = cache(slow_for_b)
    with ThreadPoolExecutor(2) as pool:
        slow = pool.submit(models.get, B)
        assert started.wait(10)
        try:
            pool.submit(models.get, A).result(timeout=10)
            assert not slow.done()
        finally:
            release.set()

    assert store.fetched == [A, B]


def test_a_failed_fetch_is_not_cached() -> None:
    outages = [ObjectsUnavailable("the object store does not answer")]

    def fetch(artifact: ObjectRef) -> bytes:
        if outages:
            raise outages.pop()
        return FILES[artifact.sha256]

    models = cache(fetch)
    with pytest.raises(ObjectsUnavailable):
        models.get(A)

    assert models.get(A).card.labels == ("cat", "dog", "owl")


def test_a_broken_model_does_not_evict_others() -> None:
    store = Store()
    models = cache(lambda artifact: b"garbage" if artifact == B else store(artifact), COST)
    models.get(A)

    with pytest.raises(BadModel):
        models.get(B)

    models.get(A)
    assert store.fetched == [A]
