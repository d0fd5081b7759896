"""The worker process of the harness tests."""

from runtime.replica import serve
from tests.integration.runtime.moods import handle

if __name__ == "__main__":
    serve("preprocess", handler=handle)
