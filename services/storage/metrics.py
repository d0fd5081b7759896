"""Prometheus metrics of the database and the object store, in every process that uses them."""

import time
from typing import Any

import urllib3
from prometheus_client import Counter, Histogram

TRANSACTION_SECONDS = Histogram(
    "tidepool_database_transaction_seconds",
    "Time of a transaction with its commit, and of waiting for a connection or for SQLite's write lock.",
    ["mode"],
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15),
)
READ_SECONDS, WRITE_SECONDS = (TRANSACTION_SECONDS.labels(mode) for mode in ("read", "write"))
DATABASE_FAILURES = Counter(
    "tidepool_database_failures_total", "Transactions that failed because the database did not answer."
)
TAKEN_OVER = Counter(
    "tidepool_jobs_taken_over_total",
    "Jobs whose worker was lost, claimed by another one when the lease was over.",
    ["kind"],
)
REQUEST_SECONDS = Histogram(
    "tidepool_object_store_request_seconds",
    "Time of a request to the object store until the headers of its answer; an upload is sent by then.",
    ["method"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
OBJECT_FAILURES = Counter(
    "tidepool_object_store_failures_total",
    "Requests to the object store without an answer, or with one of status 500 and above.",
    ["method"],
)
for _method in ("GET", "HEAD", "PUT", "POST", "DELETE"):
    OBJECT_FAILURES.labels(_method)  # Prometheus does not see the first increase of a series that is new


class MeasuredPool(urllib3.PoolManager):
    """Connections to the object store whose requests are measured."""

    def urlopen(  # type: ignore[override]
        self, method: str, url: str, redirect: bool = True, **options: Any
    ) -> urllib3.BaseHTTPResponse:
        started = time.perf_counter()
        try:
            response = super().urlopen(method, url, redirect, **options)
        except Exception:
            OBJECT_FAILURES.labels(method).inc()
            raise
        finally:
            REQUEST_SECONDS.labels(method).observe(time.perf_counter() - started)
        if response.status >= 500:
            OBJECT_FAILURES.labels(method).inc()
        return response
