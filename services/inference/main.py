"""Entry point of an inference replica."""

from contract.jobs import JobKind
from messaging.allocator import return_large_blocks
from services.inference.batch.predict import predict
from services.inference.judging.evaluate import evaluate
from services.inference.online.setup import device, setup
from services.inference.vetting.vet import vet
from worker.replica import serve

if __name__ == "__main__":
    return_large_blocks()
    handlers = {JobKind.PREDICT: predict, JobKind.EVALUATE: evaluate, JobKind.VET: vet}
    serve("inference", handlers=handlers, setup=setup, gpu=device)
