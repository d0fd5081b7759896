"""Entry point of a trainer replica."""

import os

import torch

from contract.jobs import JobKind
from services.trainer.backbones.bring import bring_backbone
from services.trainer.worker import train
from worker.replica import serve

if __name__ == "__main__":
    # Each attempt is a separate process. Idle OpenMP threads yield their core: on shared cores, spinning threads made
    # training three times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    handlers = {JobKind.TRAIN: train, JobKind.BACKBONE: bring_backbone}
    serve("trainer", handlers=handlers, gpu=lambda: 0 if torch.cuda.is_available() else None)
