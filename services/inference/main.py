"""The process of one inference replica; its composition root."""

from contract.jobs import JobKind
from services.inference.batch import predict
from services.inference.vetting.vet import vet
from services.inference.worker import device, setup
from worker.replica import serve

if __name__ == "__main__":
    serve("inference", handlers={JobKind.PREDICT: predict, JobKind.VET: vet}, setup=setup, gpu=device)
