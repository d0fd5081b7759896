"""docs/backpropagation.md shows the numbers that NumPy computes, and PyTorch's autograd agrees with them."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

PAGE = (Path(__file__).parents[3] / "docs" / "backpropagation.md").read_text()

X, Y = np.array([1.0, 0.5, 2.0]), np.array([0.0, 1.0])
W, B, V, C = np.array([0.2, -0.4, 0.3]), np.array(0.1), np.array([0.5, -1.0]), np.array([0.1, 0.2])
RATE = 0.1

Values = dict[str, NDArray[np.float64]]


def forward(w: NDArray[np.float64], b: NDArray[np.float64], v: NDArray[np.float64], c: NDArray[np.float64]) -> Values:
    """The network by its formulas, symbol by symbol."""
    z = w @ X + b
    h = np.maximum(z, 0.0)
    o = v * h + c
    p = np.exp(o) / np.exp(o).sum()
    return {"z": z, "h": h, "o": o, "p": p, "L": -(Y * np.log(p)).sum()}


def backward(values: Values) -> Values:
    """The gradients of the loss by the page's rules, each from the one before it."""
    o = values["p"] - Y
    h = V @ o
    z = h * (values["z"] > 0)
    return {"o": o, "v": values["h"] * o, "c": o, "h": h, "z": z, "w": X * z, "b": z}


def step(gradients: Values) -> Values:
    """The parameters after one step of gradient descent."""
    return {name: value - RATE * gradients[name] for name, value in {"w": W, "b": B, "v": V, "c": C}.items()}


def section(title: str) -> dict[str, list[float]]:
    """By the first column of a section's table, the numbers in backticks in its last column."""
    text = PAGE.split(f"## {title}\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| \*(.+?)\* \|(?:.*\|)? `([^`]+)` \|$", text, re.MULTILINE)
    return {symbol: [float(number) for number in numbers.split(", ")] for symbol, numbers in rows}


def assert_shown(shown: dict[str, list[float]], computed: Values) -> None:
    assert shown.keys() == computed.keys()
    for symbol, numbers in shown.items():
        assert np.ravel(computed[symbol]) == pytest.approx(numbers, abs=0.5e-8), symbol


def test_the_page_states_the_example_that_is_computed_here() -> None:
    parameters = {"x": X, "y": Y, "w": W, "b": B, "v": V, "c": C, "η": np.array(RATE)}

    assert_shown(section("The network"), parameters)


def test_the_forward_pass_on_the_page_is_right() -> None:
    assert_shown(section("Forward"), forward(W, B, V, C))


def test_the_gradients_on_the_page_are_right() -> None:
    computed = {f"∂L/∂{name}": value for name, value in backward(forward(W, B, V, C)).items()}

    assert_shown(section("Backward"), computed)


def test_the_step_on_the_page_is_right_and_lowers_the_loss() -> None:
    before = forward(W, B, V, C)
    parameters = step(backward(before))
    after = forward(**parameters)

    assert_shown(section("One step"), parameters | {"p": after["p"], "L": after["L"]})
    assert after["L"] < before["L"]
    assert after["p"].argmax() == Y.argmax()


def test_pytorch_computes_the_same_loss_and_gradients() -> None:
    x, w, b, v, c = (torch.tensor(value, dtype=torch.float64) for value in (X, W, B, V, C))
    z = (w.requires_grad_() @ x + b.requires_grad_()).requires_grad_()
    h = torch.relu(z)
    o = v.requires_grad_() * h + c.requires_grad_()
    tensors = {"o": o, "v": v, "c": c, "h": h, "z": z, "w": w, "b": b}
    for tensor in (z, h, o):
        tensor.retain_grad()

    loss = torch.nn.functional.cross_entropy(o, torch.tensor(Y.argmax()))
    loss.backward()  # type: ignore[no-untyped-call]

    values = forward(W, B, V, C)
    assert loss.item() == pytest.approx(values["L"], abs=1e-12)
    for name, gradient in backward(values).items():
        tensor = tensors[name].grad
        assert tensor is not None
        assert tensor.numpy() == pytest.approx(gradient, abs=1e-12), name
