"""Entry point of a preprocess replica."""

import os

from contract.jobs import JobKind
from services.preprocess.erasing import erase
from services.preprocess.indexing import index_dataset
from services.preprocess.revising import revise
from services.preprocess.worker import preprocess
from worker.replica import serve

if __name__ == "__main__":
    # Attempts import numpy after this. Their products are small, and waiting threads of OpenBLAS would spin.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    handlers = {JobKind.PREPROCESS: preprocess, JobKind.INDEX: index_dataset, JobKind.ERASE: erase}
    serve("preprocess", handlers=handlers | {JobKind.REVISE: revise})
