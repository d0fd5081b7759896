"""What may be asked of the sampling of an alias."""

import pytest
from pydantic import ValidationError

from contract.sampling import ReviewSampling, SamplingMix


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"mix": {"margin": 0.5, "random": 0.2}}, "the shares must add up to 1; these add up to 0.8"),
        ({"mix": {"margin": 1.2, "random": -0.2, "disagreement": 0}}, "less than or equal to 1"),
        ({"mix": {"doubt": 1}}, "Extra inputs are not permitted"),
        ({"rate_per_day": 0}, "greater than or equal to 1"),
        ({"keep_days": 1000}, "less than or equal to 365"),
        ({"max_bytes": 5}, "greater than or equal to 1048576"),
        ({"votes": 3}, "less than or equal to 2"),
    ],
)
def test_wrong_settings_are_refused_with_what_is_wrong(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ReviewSampling.model_validate(fields)


@pytest.mark.parametrize("rate", [1, 7, 200, 99_999])
@pytest.mark.parametrize("has_shadow", [True, False])
def test_the_budgets_of_the_sources_add_up_to_the_rate(rate: int, has_shadow: bool) -> None:
    settings = ReviewSampling(rate_per_day=rate)

    budgets = [settings.budget(source, has_shadow) for source in ("margin", "random", "disagreement")]

    assert sum(budgets) == rate
    assert min(budgets) >= 0


def test_without_a_shadow_the_most_doubtful_images_get_the_share_of_disagreements() -> None:
    settings = ReviewSampling(mix=SamplingMix(margin=0.6, random=0.2, disagreement=0.2))

    assert settings.budget("margin", has_shadow=True) == 120
    assert settings.budget("margin", has_shadow=False) == 160
    assert settings.budget("disagreement", has_shadow=False) == 0
