"""The process of one trainer replica; its composition root."""

from contract.jobs import JobKind
from runtime.worker import serve_jobs
from services.trainer.worker import train

if __name__ == "__main__":
    serve_jobs(JobKind.TRAIN, train)
