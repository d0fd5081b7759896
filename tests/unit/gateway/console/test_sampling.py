"""The form of an alias's sampling."""

import re

from contract.sampling import ReviewSampling
from services.gateway.console.pages import _environment
from services.gateway.console.screens.sampling import sampling_of


def test_the_form_as_it_is_shown_stores_the_defaults() -> None:
    sampling = _environment().get_template("sampling.html").module
    shown = str(sampling.form("pets", "production", None, True))  # type: ignore[attr-defined]
    form = shown.partition("<details")[2]

    fields = dict(re.findall(r'<input [^>]*name="(\w+)"[^>]* value="(\d+)"', form))

    assert set(fields) == {"rate_per_day", "keep_days", "max_mib", "margin", "random", "disagreement"}
    assert sampling_of(fields) == ReviewSampling()
