"""The queue that the tests of the review page begin with."""

import pytest

from tests.console.review.steps import GUESS
from tests.console.reviews_seed import add_samples
from tests.console.site import Site


@pytest.fixture
def site(site: Site) -> Site:
    """A queue of ten images whose guess is a hat."""
    add_samples(site, 10, **GUESS)
    return site
