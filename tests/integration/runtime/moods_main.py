"""The worker process of the harness tests: it runs jobs by their mood, and answers questions beside."""

from contract.jobs import JobKind
from runtime.replica import serve
from tests.integration.runtime.echo_worker import setup
from tests.integration.runtime.moods import handle

if __name__ == "__main__":
    serve("preprocess", handlers={JobKind.PREPROCESS: handle}, setup=setup)
