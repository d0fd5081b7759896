"""Likely label errors among the training images."""

import numpy as np
import pytest

from services.trainer import out_of_fold
from services.trainer.data import Indices, nameless
from services.trainer.out_of_fold import judged
from services.trainer.probe import fit_penalty
from tests.unit.trainer.test_probe import clusters

LABELS = ("ant", "bee", "cat")


def names(indices: Indices) -> list[tuple[str | None, str | None]]:
    return [(f"{index:064x}", f"{index}.jpg") for index in indices.tolist()]


def test_wrong_labels_are_found_and_named() -> None:
    # given features of which six have a wrong label, of images with even numbers
    features, truth = clusters(150, noise=0.5)
    wrong = np.array([3, 40, 77, 101, 102, 149])
    labels = truth.copy()
    labels[wrong] = (truth[wrong] + 1) % 3

    result = judged((features, labels), np.arange(150) * 2, LABELS, 0.03, False, names)

    assert (result.judged, result.not_judged) == (150, None)
    assert result.accuracy == pytest.approx(144 / 150, abs=0.02)
    assert {error.image for error in result.label_errors} == set((wrong * 2).tolist())
    assert result.label_error_count == len(wrong)
    for error in result.label_errors:
        assert error.path == f"{error.image}.jpg"
        assert error.sha256 == f"{error.image:064x}"
        assert error.label == LABELS[labels[error.image // 2]]
        assert error.suggested == error.predicted == LABELS[truth[error.image // 2]]
        assert error.margin == pytest.approx(error.label_score - error.score, abs=1e-5)
    assert [error.margin for error in result.label_errors] == sorted(error.margin for error in result.label_errors)


def test_no_image_is_judged_by_a_head_that_was_fitted_to_it() -> None:
    # given noise, of which a head learns every label
    features = np.random.default_rng(0).normal(size=(60, 200)).astype(np.float32)
    labels = np.arange(60) % 3
    head = fit_penalty((features, labels), 3, False, 0.001)

    probabilities = out_of_fold.out_of_fold((features, labels), 3, 0.001, False)

    assert head.accuracy == 1
    assert (probabilities.argmax(axis=1) == labels).mean() < 0.6
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)


def test_the_only_image_of_a_class_is_not_suspected() -> None:
    features, labels = clusters(61)
    labels = np.where(np.arange(61) == 60, 3, labels)

    result = judged((features, labels), np.arange(61), (*LABELS, "dog"), 0.01, False, nameless)

    assert result.judged == 61
    assert 60 not in {error.image for error in result.label_errors}


def test_few_images_of_a_class_are_enough() -> None:
    features, labels = clusters(5)

    assert judged((features, labels), np.arange(5), LABELS, 0.01, True, nameless).judged == 5


@pytest.mark.parametrize(
    ("most", "count", "reason"),
    [(900, 100, "100 images of 3 classes would take too long"), (10**6, 3, "no class has two training images")],
)
def test_the_reason_is_given_if_none_are_judged(
    monkeypatch: pytest.MonkeyPatch, most: int, count: int, reason: str
) -> None:
    monkeypatch.setattr(out_of_fold, "MOST", most)

    result = judged(clusters(count), np.arange(count), LABELS, 0.01, False, nameless)

    assert result.not_judged is not None
    assert reason in result.not_judged
    assert (result.judged, result.label_errors, result.accuracy) == (0, (), None)
