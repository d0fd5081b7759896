"""Walk an ONNX model: its graphs, their subgraphs and its functions."""

from collections.abc import Iterable, Iterator

import onnx


def nodes(model: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    """Yield every node, including those of subgraphs and functions."""
    pending: list[Iterable[onnx.NodeProto]] = [model.graph.node, *(function.node for function in model.functions)]
    while pending:
        for node in pending.pop():
            yield node
            pending.extend(graph.node for graph in _subgraphs(node))


def graphs(model: onnx.ModelProto) -> Iterator[onnx.GraphProto]:
    """Yield the model's graph and every subgraph of a node."""
    yield model.graph
    for node in nodes(model):
        yield from _subgraphs(node)


def tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Yield every tensor in the file: initializers, attributes, and the parts of sparse tensors."""
    for graph in graphs(model):
        yield from graph.initializer
    for node in nodes(model):
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
    for sparse in sparse_tensors(model):
        yield sparse.values
        yield sparse.indices


def sparse_tensors(model: onnx.ModelProto) -> Iterator[onnx.SparseTensorProto]:
    """Yield every sparse tensor in the file."""
    for graph in graphs(model):
        yield from graph.sparse_initializer
    for node in nodes(model):
        for attribute in node.attribute:
            if attribute.HasField("sparse_tensor"):
                yield attribute.sparse_tensor
            yield from attribute.sparse_tensors


def _subgraphs(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs
