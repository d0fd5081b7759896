"""Questions in tensors, answered together."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from contract.datatypes import packed
from contract.errors import BadModel
from contract.inference import Failure, Outputs, Tensor, Tensors
from services.inference.tensors import TensorRunner
from tests.support.onnx_graphs import graph, identity, lookup, sums
from tests.support.onnx_serving import session_of


def floats(array: object, name: str = "x") -> Tensor:
    values = np.asarray(array, np.float32)
    return Tensor(name, "FP32", values.shape, values.tobytes())


def indices(*values: int) -> Tensors:
    array = np.array(values, np.int64)
    return Tensors((Tensor("x", "INT64", array.shape, array.tobytes()),))


def array(answer: Outputs | Failure, dtype: type = np.float32) -> list[object]:
    assert isinstance(answer, Outputs), answer
    (tensor,) = answer.tensors
    return np.frombuffer(tensor.data, dtype).reshape(tensor.shape).tolist()


class CountingSession:
    """A session that notes how many rows each run has."""

    def __init__(self, file: bytes) -> None:
        self._session = session_of(file)
        self.rows: list[int] = []
        self.get_inputs = self._session.get_inputs
        self.get_outputs = self._session.get_outputs

    def run(self, wanted: list[str], feed: dict[str, np.ndarray]) -> list[np.ndarray]:
        self.rows.append(len(next(iter(feed.values()))))
        return self._session.run(wanted, feed)


def test_questions_of_several_rows_share_runs() -> None:
    session = CountingSession(lookup())
    runner = TensorRunner(session, batched=True, max_batch=4)  # type: ignore[arg-type]

    answers = runner.answer([indices(0), indices(1, 2), indices(3), indices(), indices(1, 1, 1, 1, 1)])

    assert [array(answer) for answer in answers] == [[0], [10, 20], [30], [], [10] * 5]
    assert session.rows == [4, 5]


def test_only_the_culprit_fails() -> None:
    # given an index beyond the table, which nobody sees before the model runs, among wrong and right questions
    runner = TensorRunner(session_of(lookup()), batched=True, max_batch=8)
    short = Tensors((Tensor("x", "INT64", (2,), b"12345678"),))

    good, culprit, wrong, other = runner.answer([indices(1), indices(99), short, indices(2)])

    assert (array(good), array(other)) == ([10], [20])
    assert isinstance(culprit, Failure)
    assert isinstance(wrong, Failure)
    assert (culprit.code, wrong.code) == ("invalid", "invalid")
    assert "8 bytes" in wrong.message


@pytest.mark.parametrize(
    "question",
    [
        Tensors(()),
        Tensors((floats([[1, 2, 3]], "a"),)),
        Tensors((floats([[1, 2, 3]], "a"), floats([[1, 2, 3]], "c"))),
        Tensors((floats([[1, 2, 3]], "a"), floats([[1, 2, 3]], "a"))),
        Tensors((floats([[1, 2]], "a"), floats([[1, 2]], "b"))),
        Tensors((floats([1, 2, 3], "a"), floats([1, 2, 3], "b"))),
        Tensors((Tensor("a", "FP64", (0, 3), b""), floats([[1, 2, 3]], "b"))),
        Tensors((Tensor("a", "TEXT", (0, 3), b""), floats([[1, 2, 3]], "b"))),
        Tensors((floats([[1, 2, 3]], "a"), floats([[1, 2, 3]], "b")), ("product",)),
        Tensors((floats([[1, 2, 3]] * 2, "a"), floats([[1, 2, 3]] * 3, "b"))),
    ],
)
def test_a_question_that_is_wrong(question: Tensors) -> None:
    right = Tensors((floats([[1, 2, 3]], "b"), floats([[4, 5, 6]], "a")), ("difference",))
    runner = TensorRunner(session_of(sums()), batched=True, max_batch=8)

    before, wrong, after = runner.answer([right, question, right])

    assert isinstance(wrong, Failure)
    assert array(before) == array(after) == [[3, 3, 3]]


def test_each_gets_the_outputs_that_it_asks_for() -> None:
    a, b = floats([[1, 2, 3]], "a"), floats([[1, 1, 1]], "b")
    runner = TensorRunner(session_of(sums()), batched=True, max_batch=8)

    answers = runner.answer([Tensors((a, b)), Tensors((a, b), ("difference",)), Tensors((a, b), ("difference", "sum"))])

    names = [[tensor.name for tensor in answer.tensors] for answer in answers if isinstance(answer, Outputs)]
    assert names == [["sum", "difference"], ["difference"], ["difference", "sum"]]


def test_as_if_alone() -> None:
    weights = helper.make_tensor("w", TensorProto.FLOAT, [64, 32], np.random.default_rng(0).normal(size=2048))
    nodes = [helper.make_node("Constant", [], ["w"], value=weights), helper.make_node("MatMul", ["x", "w"], ["y"])]
    file = graph(nodes, {"x": (TensorProto.FLOAT, ("batch", 64))}, {"y": (TensorProto.FLOAT, ("batch", 32))})
    runner = TensorRunner(session_of(file), batched=True, max_batch=64)
    questions = [Tensors((floats(np.random.default_rng(seed).normal(size=(seed % 3 + 1, 64))),)) for seed in range(16)]

    together = runner.answer(questions)

    alone = [runner.answer([question])[0] for question in questions]
    for one, other in zip(together, alone, strict=True):
        assert np.allclose(array(one), array(other), atol=1e-5)


def test_a_model_without_a_batch_axis_runs_one_by_one() -> None:
    nodes = [helper.make_node("ReduceSum", ["x"], ["y"], keepdims=0)]
    file = graph(nodes, {"x": (TensorProto.FLOAT, ("n",))}, {"y": (TensorProto.FLOAT, ())})
    runner = TensorRunner(session_of(file), batched=False, max_batch=8)

    answers = runner.answer([Tensors((floats([1, 2]),)), Tensors((floats([3, 4]),))])

    assert [array(answer) for answer in answers] == [3, 7]


def test_a_model_that_was_thought_to_have_a_batch_axis() -> None:
    # given a model whose output has no row for each row of its input
    nodes = [helper.make_node("ReduceSum", ["x"], ["y"], keepdims=0)]
    file = graph(nodes, {"x": (TensorProto.FLOAT, ("n",))}, {"y": (TensorProto.FLOAT, ())})
    runner = TensorRunner(session_of(file), batched=True, max_batch=8)

    answers = runner.answer([Tensors((floats([1, 2]),)), Tensors((floats([3, 4]),))])

    assert [array(answer) for answer in answers] == [3, 7]


def test_strings() -> None:
    runner = TensorRunner(session_of(identity(TensorProto.STRING, ("batch", 1))), batched=True, max_batch=8)
    texts = [Tensors((Tensor("x", "BYTES", (1, 1), packed([text])),)) for text in ("grün".encode(), b"a\0b", b"\xff")]

    first, second, third = runner.answer(texts)

    assert isinstance(first, Outputs)
    assert isinstance(second, Outputs)
    assert isinstance(third, Failure)
    assert (first.tensors, second.tensors) == tuple(
        (Tensor("y", "BYTES", (1, 1), packed([text])),) for text in ("grün".encode(), b"a\0b")
    )
    assert "UTF-8" in third.message


def test_a_type_that_the_protocol_cannot_carry() -> None:
    # given a model whose output is a sequence
    model = onnx.load_from_string(identity(TensorProto.FLOAT))
    model.graph.node[0].op_type = "SequenceConstruct"
    model.graph.output[0].CopyFrom(helper.make_tensor_sequence_value_info("y", TensorProto.FLOAT, None))
    session = session_of(model.SerializeToString())

    with pytest.raises(BadModel):
        TensorRunner(session, batched=False, max_batch=8)
