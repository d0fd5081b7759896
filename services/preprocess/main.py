"""The process of one preprocess replica; its composition root."""

from contract.jobs import JobKind
from services.preprocess.worker import preprocess
from worker.replica import serve

if __name__ == "__main__":
    serve("preprocess", handlers={JobKind.PREPROCESS: preprocess})
