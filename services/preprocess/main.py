"""Entry point of a preprocess replica."""

from contract.jobs import JobKind
from services.preprocess.worker import preprocess
from worker.replica import serve

if __name__ == "__main__":
    serve("preprocess", handlers={JobKind.PREPROCESS: preprocess})
