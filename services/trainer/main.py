"""Entry point of a trainer replica."""

import os

import torch

from contract.jobs import JobKind
from services.trainer.backbones.bring import bring_backbone
from services.trainer.elastic.seat import take_part
from services.trainer.search.handler import train
from services.trainer.search.trial import run_trial
from services.trainer.settings import SPIN_COUNT
from worker.replica import serve

EXPORTER = ("onnxscript", "torch._dynamo")  # what torch.onnx.export imports in its first call, in two seconds

if __name__ == "__main__":
    os.environ.setdefault("GOMP_SPINCOUNT", str(SPIN_COUNT))  # for the attempts, each of which is a process
    handlers = {JobKind.TRAIN: train, JobKind.TRIAL: run_trial, JobKind.BACKBONE: bring_backbone}
    seats = {JobKind.TRAIN: take_part}
    serve("trainer", handlers, gpu=lambda: 0 if torch.cuda.is_available() else None, preload=EXPORTER, seats=seats)
