"""A decision that a job took from the data, with its reason."""

from typing import Any

from contract.base import Frozen


class Choice(Frozen):
    """`what` is the name of a field of the spec, such as `image.size`; `value` is what it became, as in the spec.

    `because` is a sentence for people, with the numbers that decided.
    """

    what: str
    value: Any
    because: str
