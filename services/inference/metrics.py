"""Prometheus metrics of the inference service."""

from prometheus_client import Counter, Gauge

from contract.jobs import JobKind
from messaging.tallied import TalliedHistogram

MODEL_LOADS = Counter("tidepool_inference_model_loads_total", "Models loaded into memory.", ["outcome"])
MODEL_HITS = Counter("tidepool_inference_model_cache_hits_total", "Batches whose model was in memory.")
MODEL_EVICTIONS = Counter(
    "tidepool_inference_model_evictions_total", "Models removed from memory to make room for others."
)
MODELS_LOADED = Gauge("tidepool_inference_loaded_models", "Models in memory, by execution provider.", ["provider"])
CACHE_BYTES = Gauge("tidepool_inference_cache_bytes", "Estimated memory of the models in memory, in bytes.")
INFERENCE_SECONDS = TalliedHistogram(
    "tidepool_inference_seconds",
    "Normalization and ONNX Runtime for one batch, in seconds.",
    ["model", "version"],
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)
STOPPED = Counter(
    "tidepool_inference_stopped_total", "Batches that were stopped because a run took too long.", ["model", "version"]
)
JOB_IMAGES = Counter("tidepool_inference_job_images_total", "Images that jobs classified.", ["kind"])
for _kind in (JobKind.PREDICT, JobKind.EVALUATE):
    JOB_IMAGES.labels(_kind)  # Prometheus does not see the first increase of a series that is new
QUARANTINED = Counter("tidepool_inference_quarantined_total", "Versions that this replica took out of service.")
BATCH_SIZE = TalliedHistogram(
    "tidepool_inference_batch_requests",
    "Requests in one batch.",
    ["model", "version"],
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256),
)
