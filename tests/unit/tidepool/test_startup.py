import pytest

from tidepool.errors import Trouble
from tidepool.startup import replicas_of


def test_replicas() -> None:
    assert replicas_of(["inference=2", "preprocess=3"]) == {"inference": 2, "preprocess": 3}


@pytest.mark.parametrize("text", ["inference", "inference=", "inference=two", "inference=-1"])
def test_what_is_no_scale_is_said(text: str) -> None:
    with pytest.raises(Trouble, match=text):
        replicas_of([text])
