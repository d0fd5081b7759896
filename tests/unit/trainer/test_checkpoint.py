"""Serialization of checkpoints."""

import io
import pickle

import pytest
import torch

from contract.training import Epoch
from services.trainer.checkpoint import Checkpoint
from tests.support.training_data import recipe

EPOCH = Epoch(epoch=1, train_loss=0.5, val_loss=None, val_accuracy=None, seconds=2.0)


def test_serialization_round_trip() -> None:
    checkpoint = Checkpoint(
        model={"weight": torch.arange(3.0)},
        optimizer={"state": {0: {"momentum_buffer": torch.ones(2)}}, "param_groups": [{"lr": 0.1, "params": [0]}]},
        scaler={},
        best={"weight": torch.zeros(3)},
        epochs=(EPOCH,),
        recipe=recipe(),
        seconds=1.5,
        probe={"weight": torch.ones(2)},
    )

    restored = Checkpoint.from_bytes(checkpoint.to_bytes())

    assert restored.epochs == (EPOCH,)
    assert restored.model["weight"].tolist() == [0, 1, 2]
    assert restored.best["weight"].tolist() == [0, 0, 0]
    assert restored.optimizer["state"][0]["momentum_buffer"].tolist() == [1, 1]
    assert restored.optimizer["param_groups"] == checkpoint.optimizer["param_groups"]


def test_code_in_a_checkpoint_is_rejected() -> None:
    file = io.BytesIO()
    torch.save({"model": print}, file)

    with pytest.raises(pickle.UnpicklingError):
        Checkpoint.from_bytes(file.getvalue())
