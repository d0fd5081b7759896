"""Tensor requests that share runs of a session."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from contract.datatypes import packed
from contract.errors import BadModel
from contract.inference import Failure, Outputs, Tensor, Tensors
from services.inference.engine import tensors
from services.inference.engine.tensors import TensorRunner
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
    """A session that records the number of rows of each run."""

    def __init__(self, file: bytes) -> None:
        self._session = session_of(file)
        self.rows: list[int] = []
        self.get_inputs = self._session.get_inputs
        self.get_outputs = self._session.get_outputs

    def run(self, names: list[str], feed: dict[str, np.ndarray]) -> list[np.ndarray]:
        self.rows.append(len(next(iter(feed.values()))))
        return self._session.run(names, feed)


def test_questions_of_several_rows_share_runs() -> None:
    session = CountingSession(lookup())
    runner = TensorRunner(session, batched=True, max_batch=4)  # type: ignore[arg-type]

    answers = runner.answer([indices(0), indices(1, 2), indices(3), indices(), indices(1, 1, 1, 1, 1)])

    assert [array(answer) for answer in answers] == [[0], [10, 20], [30], [], [10] * 5]
    assert session.rows == [4, 5]


def test_an_invalid_question_fails_alone() -> None:
    # given an index beyond the table, which only the run detects, among valid and malformed questions
    runner = TensorRunner(session_of(lookup()), batched=True, max_batch=8)
    short = Tensors((Tensor("x", "INT64", (2,), b"12345678"),))

    good, out_of_range, malformed, other = runner.answer([indices(1), indices(99), short, indices(2)])

    assert (array(good), array(other)) == ([10], [20])
    assert isinstance(out_of_range, Failure)
    assert isinstance(malformed, Failure)
    assert (out_of_range.code, malformed.code) == ("invalid", "invalid")
    assert "8 bytes" in malformed.message


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
def test_malformed_questions_fail(question: Tensors) -> None:
    right = Tensors((floats([[1, 2, 3]], "b"), floats([[4, 5, 6]], "a")), ("difference",))
    runner = TensorRunner(session_of(sums()), batched=True, max_batch=8)

    before, malformed, after = runner.answer([right, question, right])

    assert isinstance(malformed, Failure)
    assert array(before) == array(after) == [[3, 3, 3]]


def test_each_question_gets_the_outputs_that_it_requests() -> None:
    a, b = floats([[1, 2, 3]], "a"), floats([[1, 1, 1]], "b")
    runner = TensorRunner(session_of(sums()), batched=True, max_batch=8)

    answers = runner.answer([Tensors((a, b)), Tensors((a, b), ("difference",)), Tensors((a, b), ("difference", "sum"))])

    names = [[tensor.name for tensor in answer.tensors] for answer in answers if isinstance(answer, Outputs)]
    assert names == [["sum", "difference"], ["difference"], ["difference", "sum"]]


def test_shared_runs_give_the_same_outputs_as_single_runs() -> None:
    weights = helper.make_tensor("w", TensorProto.FLOAT, [64, 32], np.random.default_rng(0).normal(size=2048))
    nodes = [helper.make_node("Constant", [], ["w"], value=weights), helper.make_node("MatMul", ["x", "w"], ["y"])]
    file = graph(nodes, {"x": (TensorProto.FLOAT, ("batch", 64))}, {"y": (TensorProto.FLOAT, ("batch", 32))})
    runner = TensorRunner(session_of(file), batched=True, max_batch=64)
    questions = [Tensors((floats(np.random.default_rng(seed).normal(size=(seed % 3 + 1, 64))),)) for seed in range(16)]

    together = runner.answer(questions)

    alone = [runner.answer([question])[0] for question in questions]
    for shared, single in zip(together, alone, strict=True):
        assert np.allclose(array(shared), array(single), atol=1e-5)


def test_a_model_without_a_batch_axis_runs_questions_one_by_one() -> None:
    nodes = [helper.make_node("ReduceSum", ["x"], ["y"], keepdims=0)]
    file = graph(nodes, {"x": (TensorProto.FLOAT, ("n",))}, {"y": (TensorProto.FLOAT, ())})
    runner = TensorRunner(session_of(file), batched=False, max_batch=8)

    answers = runner.answer([Tensors((floats([1, 2]),)), Tensors((floats([3, 4]),))])

    assert [array(answer) for answer in answers] == [3, 7]


def test_questions_run_one_by_one_if_the_batch_axis_is_missing() -> None:
    # given a model marked as batched whose output has no row per input row
    nodes = [helper.make_node("ReduceSum", ["x"], ["y"], keepdims=0)]
    file = graph(nodes, {"x": (TensorProto.FLOAT, ("n",))}, {"y": (TensorProto.FLOAT, ())})
    runner = TensorRunner(session_of(file), batched=True, max_batch=8)

    answers = runner.answer([Tensors((floats([1, 2]),)), Tensors((floats([3, 4]),))])

    assert [array(answer) for answer in answers] == [3, 7]


def test_strings_must_be_utf8() -> None:
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


def test_a_type_that_the_protocol_cannot_represent_is_rejected() -> None:
    # given a model whose output is a sequence
    model = onnx.load_from_string(identity(TensorProto.FLOAT))
    model.graph.node[0].op_type = "SequenceConstruct"
    model.graph.output[0].CopyFrom(helper.make_tensor_sequence_value_info("y", TensorProto.FLOAT, None))
    session = session_of(model.SerializeToString())

    with pytest.raises(BadModel):
        TensorRunner(session, batched=False, max_batch=8)


def test_outputs_that_are_too_large_fail_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensors, "LARGEST_ANSWER", 12)
    runner = TensorRunner(session_of(lookup()), batched=True, max_batch=8)

    together = runner.answer([indices(0), indices(1, 2, 3, 1), indices(3)])
    alone = runner.answer([indices(1, 2, 3, 1)])

    assert [array(answer) for answer in (together[0], together[2])] == [[0], [30]]
    for answer in (together[1], alone[0]):
        assert isinstance(answer, Failure)
        assert (answer.code, "16 bytes" in answer.message) == ("too_large", True)
