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


def parsed(specs: list[dict[str, Any]]) -> tuple[Layer, ...]:
    return TypeAdapter(tuple[Layer, ...]).validate_python(specs)


@settings(max_examples=150, deadline=None)
@given(body=st.lists(LAYER, max_size=6), head=HEAD, shape=SHAPE)
def test_every_layer_has_the_output_shape_of_the_contract(
    body: list[dict[str, Any]], head: list[dict[str, Any]], shape: tuple[int, int, int]
) -> None:
    specs = parsed(body + head)
    try:
        expected = shapes(specs, shape)
    except BadModel:
        assume(False)
    network = layers(specs, shape, classes=3).eval()

    x = torch.zeros(2, *shape)
    actual = []
    for module in network:
        x = module(x)
        actual.append(tuple(x.shape[1:]))

    assert actual == [*expected, (3,)]


def test_the_error_names_the_layer_that_does_not_fit() -> None:
    specs = parsed([{"maxpool": 2}, {"flatten": {}}, {"maxpool": 2}])

    with pytest.raises(BadModel, match=r"layers\[2\] \(maxpool\)"):
        layers(specs, (3, 8, 8), classes=3)


def test_dropout_is_active_only_in_training() -> None:
    network = layers(parsed([{"flatten": {}}, {"dropout": 0.5}]), (1, 8, 8), classes=2)
    x = torch.ones(1, 1, 8, 8)

    assert not torch.equal(network[:2](x), x.flatten(1))
    assert torch.equal(network.eval()[:2](x), x.flatten(1))
