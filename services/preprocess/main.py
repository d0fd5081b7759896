"""The process of one preprocess replica; its composition root."""

from contract.jobs import JobKind
from runtime.replica import serve
from services.preprocess.worker import preprocess

if __name__ == "__main__":
    serve("preprocess", handlers={JobKind.PREPROCESS: preprocess})
