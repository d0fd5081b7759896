"""Run tensor requests on an ONNX session: in shared batches if the model has a batch axis, else one by one."""

from collections.abc import Iterator, Sequence

import numpy as np

from contract.datatypes import DATATYPES, datatype_of
from contract.errors import BadModel, DeadlineExceeded, Invalid, TidepoolError, TooLarge, Unavailable
from contract.inference import LARGEST_ANSWER, Failure, Outputs, Tensors
from services.inference.engine.arrays import Array, array_of, host_array, session_input, tensor_of
from services.inference.engine.onnx_runtime import DEVICE_ERRORS, ORT_ERRORS, ort
from services.inference.engine.session import Session
from services.inference.engine.watchdog import RUN_ERRORS

Feed = dict[str, Array]

_NOT_RUN = Failure(
    Unavailable.code, "another request of the same batch took too long, so this one was not run; try again"
)


class TensorRunner:
    """Runs an ONNX session whose inputs and outputs have types of the inference protocol."""

    def __init__(self, session: Session, batched: bool, max_batch: int) -> None:
        """`batched`: the first axis of every input and output is the batch; at most `max_batch` rows share a run.

        Raises BadModel for a type that the protocol cannot represent.
        """
        self._session = session
        self._batched = batched
        self._max_batch = max_batch
        self._inputs = {node.name: (_datatype(node), tuple(node.shape)) for node in session.get_inputs()}
        self._outputs = {node.name: _datatype(node) for node in session.get_outputs()}
        self._has_bfloat16 = "BF16" in self._outputs.values()

    def answer(self, questions: Sequence[Tensors]) -> list[Outputs | Failure]:
        """Return one answer per question, in order, as if each ran alone; an invalid question fails alone.

        A run that is stopped because it takes too long fails the questions that share it, and the others are not run,
        so that a batch holds the replica for one such run.
        """
        answers: dict[int, Outputs | Failure] = {}
        feeds: dict[int, Feed] = {}
        for index, question in enumerate(questions):
            try:
                feeds[index] = self._feed(question)
            except TidepoolError as error:
                answers[index] = Failure(error.code, error.message)
        for group in self._groups(feeds):
            if not self._answer_group(group, feeds, questions, answers):
                break
        return [answers.get(index, _NOT_RUN) for index in range(len(questions))]

    def _answer_group(
        self,
        group: list[int],
        feeds: dict[int, Feed],
        questions: Sequence[Tensors],
        answers: dict[int, Outputs | Failure],
    ) -> bool:
        """Add the answers to questions that can share a run; return False if a run was stopped."""
        running = group
        try:
            together = self._together([feeds[index] for index in group], [questions[index] for index in group])
            if together is not None:
                answers.update(zip(group, together, strict=True))
                return True
            for index in group:
                running = [index]
                answers[index] = self._alone(feeds[index], questions[index])
        except DeadlineExceeded as error:
            answers.update(dict.fromkeys(running, Failure(error.code, error.message)))
            return False
        return True

    def _feed(self, question: Tensors) -> Feed:
        feed = {tensor.name: array_of(tensor) for tensor in question.inputs}
        if feed.keys() != self._inputs.keys() or len(feed) != len(question.inputs):
            raise Invalid(f"send each input of the model once: {', '.join(map(repr, self._inputs)) or 'none'}")
        if unknown := set(question.outputs) - self._outputs.keys():
            raise Invalid(f"the model has no output {min(unknown)!r}; it has {', '.join(map(repr, self._outputs))}")
        for tensor in question.inputs:
            datatype, shape = self._inputs[tensor.name]
            if tensor.datatype != datatype:
                raise Invalid(f"the input {tensor.name!r} is {tensor.datatype}; the model takes {datatype}")
            fits = len(shape) == len(tensor.shape) and all(
                not isinstance(axis, int) or axis == length for axis, length in zip(shape, tensor.shape, strict=True)
            )
            if not fits:
                raise Invalid(f"the input {tensor.name!r} has a shape that does not match the model's")
        return feed

    def _groups(self, feeds: dict[int, Feed]) -> Iterator[list[int]]:
        """Group the questions that can share a run: same shapes except for the batch axis, at most `max_batch` rows."""
        if not self._batched:
            yield from ([index] for index in feeds)
            return
        open_groups: dict[tuple[tuple[int, ...], ...], tuple[list[int], int]] = {}
        for index, feed in feeds.items():
            rows = {array.shape[0] for array in feed.values()}
            if len(rows) != 1:
                yield [index]
                continue
            (count,) = rows
            shape = tuple(feed[name].shape[1:] for name in self._inputs)
            group, total = open_groups.get(shape, ([], 0))
            if group and total + count > self._max_batch:
                yield group
                group, total = [], 0
            open_groups[shape] = ([*group, index], total + count)
        for group, _ in open_groups.values():
            yield group

    def _together(self, feeds: list[Feed], questions: list[Tensors]) -> list[Outputs | Failure] | None:
        """Return the answers from one shared run, or None if each question must run alone."""
        if len(feeds) == 1:
            return None
        names = [name for name in self._outputs if any(name in (q.outputs or self._outputs) for q in questions)]
        try:
            arrays = self._run({name: np.concatenate([feed[name] for feed in feeds]) for name in self._inputs}, names)
        except RUN_ERRORS:
            return None
        ends = np.cumsum([next(iter(feed.values())).shape[0] for feed in feeds]).tolist()
        if any(array.shape[:1] != (ends[-1],) for array in arrays.values()):
            return None
        return [
            self._outputs_of(question, {name: array[start:end] for name, array in arrays.items()})
            for question, start, end in zip(questions, [0, *ends], ends, strict=False)
        ]

    def _alone(self, feed: Feed, question: Tensors) -> Outputs | Failure:
        try:
            return self._outputs_of(question, self._run(feed, list(question.outputs or self._outputs)))
        except TooLarge as error:
            return Failure(error.code, error.message)
        except DEVICE_ERRORS:
            return Failure(Unavailable.code, "the model could not be run")
        except ORT_ERRORS:
            return Failure(Invalid.code, "the model cannot run on these inputs; check their shapes and values")

    def _outputs_of(self, question: Tensors, arrays: dict[str, Array]) -> Outputs | Failure:
        names = question.outputs or self._outputs
        size = sum(arrays[name].nbytes for name in names)
        if size > LARGEST_ANSWER:
            return Failure(
                TooLarge.code,
                f"the outputs have {size} bytes, and an answer at most {LARGEST_ANSWER}; request fewer outputs, or "
                "send smaller inputs",
            )
        return Outputs(tuple(tensor_of(name, self._outputs[name], arrays[name]) for name in names))

    def _run(self, feed: Feed, names: list[str]) -> dict[str, Array]:
        values = {name: session_input(self._inputs[name][0], array) for name, array in feed.items()}
        if not self._has_bfloat16:
            return dict(zip(names, map(np.asarray, self._session.run(names, values)), strict=True))
        boxed = {
            name: value if isinstance(value, ort.OrtValue) else ort.OrtValue.ortvalue_from_numpy(value)
            for name, value in values.items()
        }
        outputs = self._session.run_with_ort_values(names, boxed)
        return {name: host_array(self._outputs[name], value) for name, value in zip(names, outputs, strict=True)}


def _datatype(node: ort.NodeArg) -> str:
    inner = node.type.removeprefix("tensor(").removesuffix(")")
    datatype = datatype_of(inner)
    if datatype is None or datatype not in DATATYPES.values():
        raise BadModel(f"{node.name!r} has a type that the inference protocol cannot represent")
    return datatype.name
