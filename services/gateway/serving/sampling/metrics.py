"""The metrics of sampling for reviews."""

from typing import get_args

from prometheus_client import Counter

from contract.sampling import SampleSource

SAMPLED = Counter("tidepool_review_samples_total", "Images of predictions copied to the review queue.", ["source"])
DROPPED = Counter(
    "tidepool_review_samples_dropped_total",
    "Images that were chosen for reviews and not copied: another gateway has used up the budget of the day or of the "
    "class (budget, class), the copies have too many bytes (bytes), the queue has had the image (duplicate), too many "
    "wait (busy), sampling was turned off (off), a replica made no copy (copy), or the object store or the database "
    "did not answer (store, database).",
    ["reason"],
)
REASONS = ("budget", "class", "bytes", "duplicate", "busy", "off", "copy", "store", "database")
for _source in get_args(SampleSource):
    SAMPLED.labels(_source)  # Prometheus does not see the first increase of a series that is new
for _reason in REASONS:
    DROPPED.labels(_reason)
