"""How much people agree."""

from collections import Counter

import pytest

from services.storage.people.progress import cohens_kappa

ANSWERS = [
    ("negative", "negative"),
    ("positive", "positive"),
    ("negative", "negative"),
    ("neutral", "neutral"),
    ("positive", "negative"),
]


def test_kappa_is_that_of_scikit_learn() -> None:
    # the example in the documentation of sklearn.metrics.cohen_kappa_score
    assert cohens_kappa(Counter(ANSWERS)) == pytest.approx(0.6875)


@pytest.mark.parametrize(
    ("answers", "kappa"),
    [
        ([], None),
        ([("cat", "cat")] * 3, None),  # chance alone would agree always
        ([("cat", "cat"), ("dog", "dog")], 1.0),
        ([("cat", "dog"), ("dog", "cat")], -1.0),
        ([("cat", None), (None, None), ("cat", "cat"), (None, "cat")], 0.0),
    ],
)
def test_kappa_of_special_cases(answers: list[tuple[str | None, str | None]], kappa: float | None) -> None:
    assert cohens_kappa(Counter(answers)) == kappa
