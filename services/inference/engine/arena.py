"""The memory in which ONNX Runtime computes on the CPU: one arena for all models of a process, with a limit."""

import threading
import time
from functools import cache

from onnx import TensorProto, helper

from services.inference.engine.onnx_runtime import ort

SHRINK_EVERY_S = 60.0

_GROW_AS_REQUESTED = 1  # not by powers of two
_FULL = "available memory of"  # in the error of an arena that has reached its limit
_lock = threading.Lock()
_shared = False


def share_arena(limit: int | None) -> None:
    """Let all sessions of this process compute in one arena of at most `limit` bytes; the first call counts.

    With an arena per session, every loaded model would keep the peak of its largest batch: 15 MB for 150 kB of weights.
    The arena holds inputs, activations and outputs. Weights, strings and what a kernel allocates itself are outside.
    """
    global _shared  # noqa: PLW0603  ONNX Runtime has one environment per process
    with _lock:
        if _shared:
            return
        memory = ort.OrtMemoryInfo("Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT)
        limits = {"arena_extend_strategy": _GROW_AS_REQUESTED} | ({} if limit is None else {"max_mem": limit})
        ort.create_and_register_allocator(memory, ort.OrtArenaCfg(limits))
        _small_session()  # now, so that it does not pin a large region of the arena later
        threading.Thread(target=_shrink_regularly, name="arena", daemon=True).start()
        _shared = True


def is_full(error: Exception) -> bool:
    """Return whether a run failed because the arena has reached its limit."""
    return _FULL in str(error).lower()


def shrink_arena() -> None:
    """Give the arena's unused memory back to the system; what it keeps for other sizes counts towards the limit."""
    options = ort.RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    _small_session().run(None, {}, options)


def _shrink_regularly() -> None:
    """Shrink the arena once a minute: regions for batches of many sizes would add up to the limit otherwise."""
    while True:
        time.sleep(SHRINK_EVERY_S)
        shrink_arena()


@cache
def _small_session() -> ort.InferenceSession:
    """Return a session in the arena, because only a run can shrink it."""
    one = helper.make_tensor("one", TensorProto.FLOAT, [1], [1.0])
    nodes = [helper.make_node("Constant", [], ["c"], value=one), helper.make_node("Neg", ["c"], ["y"])]
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
    graph = helper.make_graph(nodes, "small", [], [output])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    options = ort.SessionOptions()
    options.add_session_config_entry("session.use_env_allocators", "1")
    options.intra_op_num_threads = 1
    return ort.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
