"""The worker process of the worker tests: runs scripted jobs, and answers questions at the same time."""

from contract.jobs import JobKind
from messaging import presence
from tests.integration.worker.echo_worker import setup
from tests.integration.worker.scripted_handler import handle
from worker import worker
from worker.replica import serve

BEAT_S = 0.2

if __name__ == "__main__":
    presence.BEAT_S, worker.POLL_S = BEAT_S, 1.0  # faster tests
    serve("preprocess", handlers={JobKind.PREPROCESS: handle}, setup=setup)
