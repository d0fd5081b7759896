"""Every place of an ONNX file that can hold a part is walked, and calls of functions are bounded."""

from collections.abc import Iterator

import onnx
import pytest
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message
from onnx import helper

from contract.errors import BadModel
from services.inference.vetting import graphs
from services.inference.vetting.graphs import Functions, messages
from services.inference.vetting.static import check
from tests.unit.inference.vetting.models import calling, relu

Path = tuple[tuple[str, bool], ...]
TENSOR = onnx.TensorProto.DESCRIPTOR


def places(kind: Descriptor, target: Descriptor, outer: tuple[Descriptor, ...] = ()) -> Iterator[Path]:
    """Yield the ways from a message to another by fields, each kind of message at most twice on a way."""
    if kind is target:
        yield ()
        return
    for field in kind.fields:
        if field.message_type is not None and outer.count(field.message_type) < 2:
            for rest in places(field.message_type, target, (*outer, field.message_type)):
                yield ((field.name, field.is_repeated), *rest)


def part_at(root: Message, path: Path) -> Message:
    """Add a part to a message at each field of the path; return the last."""
    for name, repeated in path:
        held = getattr(root, name)
        root = held.add() if repeated else held
        root.SetInParent()
    return root


PLACES = list(places(onnx.ModelProto.DESCRIPTOR, TENSOR))


def test_the_format_has_the_places_that_attacks_use() -> None:
    names = {tuple(name for name, _ in path) for path in PLACES}

    assert ("functions", "attribute_proto", "t") in names
    assert ("functions", "attribute_proto", "g", "sparse_initializer", "indices") in names
    assert ("training_info", "initialization", "initializer") in names
    assert ("graph", "node", "attribute", "graphs", "node", "attribute", "tensors") in names
    assert len(names) > 100


@pytest.mark.parametrize("entries_only", [True, False])
def test_external_data_is_refused_at_every_place_of_the_format(entries_only: bool) -> None:
    for path in PLACES:
        model = relu()
        tensor = part_at(model, path)
        assert isinstance(tensor, onnx.TensorProto)
        for function in model.functions:
            function.name = "Function"  # or its nodes, which have no name either, would be calls of it
        if entries_only:
            tensor.external_data.add(key="location", value="secret")
        else:
            tensor.data_location = onnx.TensorProto.EXTERNAL
        with pytest.raises(BadModel, match="other files"):
            check(model)


def test_a_foreign_operator_is_refused_at_every_place_of_the_format() -> None:
    for path in places(onnx.ModelProto.DESCRIPTOR, onnx.NodeProto.DESCRIPTOR):
        model = relu()
        node = part_at(model, path)
        assert isinstance(node, onnx.NodeProto)
        node.op_type, node.domain = "Shell", "evil"
        with pytest.raises(BadModel, match="'evil'"):
            check(model)


def test_parts_without_a_name_get_that_of_what_holds_them() -> None:
    model = relu()

    assert ("x", model.graph.input[0].type.tensor_type) in list(messages(model))


def test_a_declared_function_does_not_admit_its_domain() -> None:
    model = calling({"Positive": ["Relu"]})
    check(model)

    model.graph.node[0].op_type = "Other"

    with pytest.raises(BadModel, match="'Other' is in the domain 'mine'"):
        check(model)


def test_a_function_of_another_overload_is_not_declared() -> None:
    model = calling({"Positive": ["Relu"]})

    model.graph.node[0].overload = "second"

    with pytest.raises(BadModel, match="'Positive' is in the domain 'mine'"):
        check(model)


@pytest.mark.parametrize("bodies", [{"A": ["A"]}, {"A": ["B"], "B": ["C"], "C": ["Relu", "A"]}])
def test_functions_that_call_themselves_are_refused(bodies: dict[str, list[str]]) -> None:
    with pytest.raises(BadModel, match="calls itself"):
        check(calling(bodies))


def test_a_function_that_replaces_the_operator_that_it_uses_calls_itself() -> None:
    model = calling({"Relu": ["Relu"]}, domain="")

    with pytest.raises(BadModel, match="calls itself"):
        check(model)


def test_a_function_may_not_call_itself_from_a_default_value() -> None:
    model = calling({"Positive": ["Relu"]})
    graph = helper.make_graph([helper.make_node("Positive", ["a"], ["b"], domain="mine")], "hidden", [], [])
    model.functions[0].attribute_proto.append(helper.make_attribute("body", graph))

    with pytest.raises(BadModel, match="calls itself"):
        check(model)


def test_a_function_declared_twice_is_refused() -> None:
    model = calling({"Positive": ["Relu"]})
    model.functions.append(model.functions[0])

    with pytest.raises(BadModel, match="twice"):
        check(model)


def test_functions_that_double_at_each_call_are_refused() -> None:
    bodies = {f"F{number}": [f"F{number + 1}"] * 2 for number in range(40)} | {"F40": ["Relu"]}

    with pytest.raises(BadModel, match="more than 1000000 nodes"):
        check(calling(bodies))


def test_a_long_chain_of_calls_is_refused_in_any_order() -> None:
    bodies = {f"F{number}": [f"F{number + 1}"] for number in range(100)} | {"F100": ["Relu"]}

    for ordered in (bodies, dict(reversed(bodies.items()))):
        with pytest.raises(BadModel, match="chain"):
            check(calling(ordered))


def test_a_chain_within_the_limit_passes() -> None:
    def chain(length: int) -> onnx.ModelProto:
        calls = {f"F{number}": [f"F{number + 1}"] for number in range(length - 1)}
        return calling(calls | {f"F{length - 1}": ["Relu"]})

    longest = chain(graphs.MOST_CALLS)

    assert longest.graph.node[0] in Functions(longest)
    with pytest.raises(BadModel, match="chain"):
        Functions(chain(graphs.MOST_CALLS + 1))


def test_more_nodes_than_the_limit_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphs, "MOST_NODES", 2)
    model = relu()
    Functions(model)

    model.graph.node.extend([model.graph.node[0]] * 2)

    with pytest.raises(BadModel, match="nodes"):
        Functions(model)
