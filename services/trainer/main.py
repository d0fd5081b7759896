"""The process of one trainer replica; its composition root."""

import os

import torch

from contract.jobs import JobKind
from services.trainer.worker import train
from worker.replica import serve

if __name__ == "__main__":
    # Attempts, in processes of their own, let go of a core while they wait for another one: on shared cores, threads
    # that spin made training three times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    serve("trainer", handlers={JobKind.TRAIN: train}, gpu=lambda: 0 if torch.cuda.is_available() else None)
