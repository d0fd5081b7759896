"""What the gateway holds at the moment, as Prometheus metrics; read at each scrape, from another thread."""

from prometheus_client import Gauge

from services.gateway.edge.byte_budget import BodyBudgets
from services.gateway.edge.submit_limit import Submits
from services.gateway.edge.watches import Watches

HELD = Gauge(
    "tidepool_held_bytes", "Bytes of request bodies that the gateway holds; beyond the limit, it refuses.", ["budget"]
)
HELD_LIMIT = Gauge("tidepool_held_limit_bytes", "Most bytes of request bodies that the gateway holds.", ["budget"])
SUBMITS = Gauge("tidepool_submits_in_progress_requests", "Job submissions that the gateway processes or lets wait.")
STREAMS = Gauge("tidepool_streams_requests", "Event streams and `?wait=` requests that follow a job.")


def show_load(bodies: BodyBudgets, submits: Submits, watches: Watches) -> None:
    """Set the metrics."""
    budgets = {"predictions": bodies.predictions, "uploads": bodies.uploads, "documents": bodies.documents}
    for name, budget in budgets.items():
        HELD.labels(name).set(budget.held)
        HELD_LIMIT.labels(name).set(budget.limit)
    SUBMITS.set(submits.taken)
    STREAMS.set(watches.streams)
