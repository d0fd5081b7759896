"""The arena gives memory back; in a process of its own, because ONNX Runtime has one environment for each."""

import subprocess
import sys

SCRIPT = """
import time

import numpy as np
import psutil
from onnx import TensorProto, helper

from services.inference.engine import arena
from services.inference.engine.onnx_runtime import ort


def mib():
    return psutil.Process().memory_full_info().uss / 2**20


arena.SHRINK_EVERY_S = 0.5
arena.share_arena(None)
nodes = [helper.make_node("Neg", ["x"], ["h"]), helper.make_node("ReduceSum", ["h"], ["y"], keepdims=0)]
x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n"])
y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [])
graph = helper.make_graph(nodes, "large", [x], [y])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
options = ort.SessionOptions()
options.add_session_config_entry("session.use_env_allocators", "1")
session = ort.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
before, peak = mib(), 0.0
for count in range(8, 40, 8):
    session.run(None, {"x": np.ones(count * 2**18, np.float32)})
    peak = max(peak, mib())
end = time.monotonic() + 30
while mib() > before + 8 and time.monotonic() < end:
    time.sleep(0.1)
print(peak - before, mib() - before)
"""


def test_memory_of_large_runs_goes_back_to_the_system() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, timeout=120)

    peak, later = map(float, done.stdout.split())
    assert peak > 30, "the runs took no memory of the arena"
    assert later < 8
