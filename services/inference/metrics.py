"""Prometheus metrics of the inference service."""

from prometheus_client import Counter, Gauge, Histogram

MODEL_LOADS = Counter("tidepool_inference_model_loads_total", "Models loaded into memory.", ["outcome"])
MODELS_LOADED = Gauge("tidepool_inference_models_loaded", "Models in memory, by execution provider.", ["provider"])
CACHE_BYTES = Gauge("tidepool_inference_cache_bytes", "Estimated memory of the models in memory, in bytes.")
INFERENCE_SECONDS = Histogram(
    "tidepool_inference_seconds",
    "Normalization and ONNX Runtime for one batch, in seconds.",
    ["model", "version"],
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)
STOPPED = Counter(
    "tidepool_inference_stopped_total", "Batches of which a run took too long and was stopped.", ["model", "version"]
)
QUARANTINED = Counter("tidepool_inference_quarantined_total", "Versions that this replica took out of service.")
BATCH_SIZE = Histogram(
    "tidepool_inference_batch_size",
    "Requests in one batch.",
    ["model", "version"],
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256),
)
