"""The images that a network was slowest to learn."""

from pathlib import Path

import numpy as np
import torch

from services.trainer.data import MemoryImages, nameless
from services.trainer.image_losses import LISTED, ImageLosses
from services.trainer.train import train
from tests.support.training_data import recipe, separable, training_data

LABELS = ("ant", "bee", "cat")


def test_means_are_over_the_epochs_in_which_an_image_was_seen_except_the_first() -> None:
    losses = ImageLosses(4)
    losses.add(1, np.array([0, 1, 2, 3]), [torch.full((4,), 9.0)])
    losses.add(2, np.array([2, 0, 1]), [torch.tensor([1.0, 2.0]), torch.tensor([3.0])])
    losses.add(3, np.array([1, 2]), [torch.tensor([5.0, 2.0])])  # cut short

    slowest = losses.slowest(np.array([0, 1, 2, 0]), LABELS, lambda indices: [("0" * 64, f"{i}.jpg") for i in indices])

    assert [(image.image, image.loss, image.label, image.path) for image in slowest] == [
        (1, 4.0, "bee", "1.jpg"),
        (0, 2.0, "ant", "0.jpg"),
        (2, 1.5, "cat", "2.jpg"),
    ]


def test_nothing_is_known_after_one_epoch(tmp_path: Path) -> None:
    data = training_data(tmp_path)

    trained = train(recipe(epochs=1), data, on_step=lambda *_: None, on_epoch=lambda _: None)

    assert trained.image_losses.slowest(data.train.labels, LABELS, nameless) == ()


def test_images_with_a_wrong_label_are_learned_last(tmp_path: Path) -> None:
    images, labels = separable(60, seed=1)
    wrong = [7, 20, 33]
    labels[wrong] = (labels[wrong] + 1) % 3
    data = training_data(tmp_path)
    data = type(data)(**vars(data) | {"train": MemoryImages(images, labels)})
    spec = recipe(epochs=12, optimizer={"name": "adam", "lr": 0.003})

    trained = train(spec, data, on_step=lambda *_: None, on_epoch=lambda _: None)

    slowest = trained.image_losses.slowest(labels, LABELS, nameless)
    assert {image.image for image in slowest[:3]} == set(wrong)
    assert len(slowest) == LISTED
