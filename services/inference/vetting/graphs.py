"""Walk an ONNX file: every message in it, and the calls of the functions that it declares."""

from collections.abc import Iterator
from functools import cache

import onnx
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message

from contract.errors import BadModel

MOST_CALLS = 64  # functions that call each other in a chain
MOST_NODES = 1_000_000  # of the model, with the nodes of a function counted at each call

FunctionKey = tuple[str, str, str]


def messages(root: Message) -> Iterator[tuple[str, Message]]:
    """Yield every message of a file, `root` included, with the nearest name: its own, or that of what holds it.

    Follows every field that ONNX defines, so it also finds the default values of a function's attributes, subgraphs in
    attributes, sparse tensors and training graphs. Nesting is bounded, because the parser refuses more than 100 levels.
    """
    pending: list[tuple[str, Message]] = [("", root)]
    while pending:
        outer, message = pending.pop()
        name = getattr(message, "name", "") or outer
        yield name, message
        for field, repeated in _message_fields(message.DESCRIPTOR):
            if repeated:
                pending.extend((name, part) for part in getattr(message, field))
            elif message.HasField(field):
                pending.append((name, getattr(message, field)))


def nodes(root: Message) -> Iterator[onnx.NodeProto]:
    """Yield every node in a message, including those of subgraphs."""
    return (message for _, message in messages(root) if isinstance(message, onnx.NodeProto))


def key_of(item: onnx.FunctionProto | onnx.NodeProto) -> FunctionKey:
    """Return the identity of a function, or of the function that a node would call."""
    name = item.op_type if isinstance(item, onnx.NodeProto) else item.name
    return ("" if item.domain == "ai.onnx" else item.domain, name, item.overload)


class Functions:
    """The functions that a model declares; raises BadModel if one is declared twice or calls itself.

    Runtimes replace a call by the function's nodes. A few functions that each call the next one twice stand for more
    nodes than fit into memory, so the replaced nodes are counted.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        self._bodies = {key_of(function): function for function in model.functions}
        if len(self._bodies) < len(model.functions):
            raise BadModel("the model declares a function twice")
        self._sizes: dict[FunctionKey, tuple[int, int]] = {}
        self._open: set[FunctionKey] = set()
        for key in self._bodies:
            self._size(key)
        main = (*model.graph.node, *model.training_info)
        self._total(node for part in main for node in nodes(part))

    def __contains__(self, node: onnx.NodeProto) -> bool:
        return key_of(node) in self._bodies

    def _size(self, key: FunctionKey) -> tuple[int, int]:
        """Return a function's nodes with those of its calls, and the length of its longest chain of calls."""
        if key not in self._sizes:
            if key in self._open:
                raise BadModel(f"the function {key[1][:80]!r} in the model calls itself")
            if len(self._open) == MOST_CALLS:
                raise BadModel(_TOO_DEEP)
            self._open.add(key)
            size, chain = self._total(nodes(self._bodies[key]))
            if chain >= MOST_CALLS:
                raise BadModel(_TOO_DEEP)
            self._sizes[key] = size, chain + 1
            self._open.remove(key)
        return self._sizes[key]

    def _total(self, called: Iterator[onnx.NodeProto]) -> tuple[int, int]:
        """Return the number of these nodes with those of their calls, and the length of the longest chain of calls."""
        total, longest = 0, 0
        for node in called:
            size, chain = self._size(key_of(node)) if node in self else (0, 0)
            total, longest = total + 1 + size, max(longest, chain)
            if total > MOST_NODES:
                raise BadModel(f"the model has more than {MOST_NODES} nodes, with those of its functions at each call")
        return total, longest


_TOO_DEEP = f"more than {MOST_CALLS} functions in the model call each other in a chain"


@cache
def _message_fields(kind: Descriptor) -> tuple[tuple[str, bool], ...]:
    """Return the fields that hold other messages: their name, and whether they hold several."""
    return tuple((field.name, field.is_repeated) for field in kind.fields if field.message_type is not None)
