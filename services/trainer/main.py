"""Entry point of a trainer replica."""

import os

import torch

from contract.jobs import JobKind
from services.trainer.backbones.bring import bring_backbone
from services.trainer.elastic.seat import take_part
from services.trainer.search.handler import train
from services.trainer.search.trial import run_trial
from worker.replica import serve

EXPORTER = ("onnxscript", "torch._dynamo")  # what torch.onnx.export imports in its first call, in two seconds

if __name__ == "__main__":
    # Each attempt is a separate process. Idle OpenMP threads spin for microseconds and then yield their core. On two
    # cores, 1000 rounds made small batches half as long again, and 100,000 three times as long beside a busy process.
    os.environ.setdefault("GOMP_SPINCOUNT", "3000")
    handlers = {JobKind.TRAIN: train, JobKind.TRIAL: run_trial, JobKind.BACKBONE: bring_backbone}
    seats = {JobKind.TRAIN: take_part}
    serve("trainer", handlers, gpu=lambda: 0 if torch.cuda.is_available() else None, preload=EXPORTER, seats=seats)
