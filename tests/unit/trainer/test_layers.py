"""Layer lists as networks."""

from typing import Any

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from contract.errors import BadModel
from contract.layers import Layer, shapes
from services.trainer.layers import layers

WIDTHS = st.integers(1, 4)
WINDOWS = st.integers(1, 4)
LAYER = st.one_of(
    st.fixed_dictionaries(
        {"conv": WIDTHS, "kernel": WINDOWS, "stride": WINDOWS, "padding": st.sampled_from(["same", "valid"])}
    ),
    st.fixed_dictionaries({"maxpool": WINDOWS}),
    st.fixed_dictionaries({"avgpool": WINDOWS}),
    st.sampled_from([{"relu": {}}, {"gelu": {}}, {"batchnorm": {}}, {"dropout": 0.5}]),
)
HEAD = st.sampled_from([[{"flatten": {}}], [{"globalavgpool": {}}], [{"flatten": {}}, {"dense": 5}, {"batchnorm": {}}]])
SHAPE = st.tuples(st.sampled_from([1, 3]), st.integers(1, 12), st.integers(1, 12))


def parsed(listed: list[dict[str, Any]]) -> tuple[Layer, ...]:
    return TypeAdapter(tuple[Layer, ...]).validate_python(listed)


@settings(max_examples=150, deadline=None)
@given(body=st.lists(LAYER, max_size=6), head=HEAD, shape=SHAPE)
def test_every_layer_gives_the_shape_that_the_contract_tells(
    body: list[dict[str, Any]], head: list[dict[str, Any]], shape: tuple[int, int, int]
) -> None:
    listed = parsed(body + head)
    try:
        expected = shapes(listed, shape)
    except BadModel:
        assume(False)
    network = layers(listed, shape, classes=3).eval()

    x = torch.zeros(2, *shape)
    found = []
    for module in network:
        x = module(x)
        found.append(tuple(x.shape[1:]))

    assert found == [*expected, (3,)]


def test_misfit_is_refused_by_name() -> None:
    listed = parsed([{"maxpool": 2}, {"flatten": {}}, {"maxpool": 2}])

    with pytest.raises(BadModel, match=r"layers\[2\] \(maxpool\)"):
        layers(listed, (3, 8, 8), classes=3)


def test_dropout_drops_only_in_training() -> None:
    network = layers(parsed([{"flatten": {}}, {"dropout": 0.5}]), (1, 8, 8), classes=2)
    x = torch.ones(1, 1, 8, 8)

    assert not torch.equal(network[:2](x), x.flatten(1))
    assert torch.equal(network.eval()[:2](x), x.flatten(1))
