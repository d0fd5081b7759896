"""The process of one preprocess replica; its composition root."""

from contract.jobs import JobKind
from runtime.worker import serve_jobs
from services.preprocess.worker import preprocess

if __name__ == "__main__":
    serve_jobs(JobKind.PREPROCESS, preprocess)
