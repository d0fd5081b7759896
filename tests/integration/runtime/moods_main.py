"""The worker process of the harness tests."""

from contract.jobs import JobKind
from runtime.worker import serve_jobs
from tests.integration.runtime.moods import handle

if __name__ == "__main__":
    serve_jobs(JobKind.PREPROCESS, handle)
