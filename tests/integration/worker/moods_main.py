"""The worker process of the harness tests: it runs jobs by their mood, and answers questions beside."""

from contract.jobs import JobKind
from messaging import presence
from tests.integration.worker.echo_worker import setup
from tests.integration.worker.moods import handle
from worker import worker
from worker.replica import serve

BEAT_S = 0.2

if __name__ == "__main__":
    presence.BEAT_S, worker.LOOK_S = BEAT_S, 1.0  # nobody waits seconds for what is tested
    serve("preprocess", handlers={JobKind.PREPROCESS: handle}, setup=setup)
