"""The worker process of the harness tests: it runs jobs by their mood, and answers calls beside."""

from runtime.replica import serve
from tests.integration.runtime.echo_worker import setup
from tests.integration.runtime.moods import handle

if __name__ == "__main__":
    serve("preprocess", handler=handle, setup=setup)
