"""Linear heads on features."""

import numpy as np
import pytest
import torch

from contract.errors import Invalid
from services.trainer.probe import PENALTIES, Labels, Matrix, Probe, fit


def clusters(count: int, classes: int = 3, noise: float = 1.0, seed: int = 0) -> tuple[Matrix, Labels]:
    """Features around a centre for each class."""
    centres = np.random.default_rng(99).normal(5, 2, (classes, 16))
    labels = np.arange(count) % classes
    return (centres[labels] + np.random.default_rng(seed).normal(0, noise, (count, 16))).astype(np.float32), labels


def accuracy(head: Probe, features: Matrix, labels: Labels) -> float:
    logits = torch.from_numpy(features) @ head.weight.T + head.bias
    return float((logits.argmax(1).numpy() == labels).mean())


def test_the_head_takes_features_as_they_are() -> None:
    val = clusters(60, seed=1)

    head = fit(clusters(90), val, 3)

    assert head.accuracy == pytest.approx(accuracy(head, *val))
    assert head.accuracy > 0.9
    assert head.penalty in PENALTIES


def test_noisy_features_get_a_stronger_penalty() -> None:
    clean, noisy = [fit(clusters(60, noise=n), clusters(60, noise=n, seed=1), 3) for n in (0.3, 6.0)]

    assert noisy.penalty > clean.penalty


def test_without_validation_a_part_of_the_training_images_chooses() -> None:
    none = (np.zeros((0, 1), np.float32), np.zeros(0, np.int64))

    head = fit(clusters(90), none, 3)

    assert accuracy(head, *clusters(60, seed=1)) > 0.9


def test_the_same_features_give_the_same_bits() -> None:
    first, second = [fit(clusters(90), clusters(30, seed=1), 3) for _ in range(2)]

    assert torch.equal(first.weight, second.weight)


def test_balanced_weights_help_a_rare_class() -> None:
    features, labels = clusters(300, classes=2, noise=4.0)
    kept = (labels == 0) | (np.arange(300) < 20)
    train, val = (features[kept], labels[kept]), clusters(200, classes=2, noise=4.0, seed=1)

    plain, balanced = [fit(train, val, 2, balanced=balanced) for balanced in (False, True)]

    rare = val[1] == 1
    assert accuracy(balanced, val[0][rare], val[1][rare]) > accuracy(plain, val[0][rare], val[1][rare])


def test_a_single_image_is_rejected() -> None:
    with pytest.raises(Invalid, match="fewer than two images"):
        fit(clusters(1), clusters(3), 3)
