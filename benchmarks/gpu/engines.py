"""The steps `… engine` and `tensorrt`: Tidepool's engine against raw ONNX Runtime on the same card, by batch size."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.gpu.closed_loop import Call, closed_loop
from benchmarks.training.child import main
from services.inference.engine.loader import ModelLoader
from services.inference.engine.onnx_runtime import ort
from services.inference.engine.providers import CPU, TENSORRT, Placement, ProviderChoice, on_gpu
from services.inference.engine.session import GPU_MEMORY

BATCHES, FEW_BATCHES = (1, 4, 8, 16, 32, 64), (1, 4)
PRECISIONS = ("fp32", "fp16")
WINDOW_S, SHORT_WINDOW_S = 0.4, 0.1
KEPT_S = 5.0  # of the limit, for the end of the process

Way = Callable[[int], Call]
"""Returns a function that runs a batch of this many images once."""


def measure(request: dict[str, Any]) -> dict[str, Any]:
    """Return a row for each precision, way and batch size, as many as fit into the time."""
    ends = time.monotonic() + request["limit_s"] - KEPT_S
    rehearse, tensorrt = request["rehearse"], request.get("tensorrt", False)
    placement = placement_of(rehearse, tensorrt, Path(request["folder"]))
    if tensorrt and TENSORRT not in ort.get_available_providers():
        return {"model": request["model"], "rows": [], "skipped": "this ONNX Runtime has no TensorRT provider"}
    rows: list[dict[str, Any]] = []
    complete = True
    for precision in ("fp16",) if tensorrt else PRECISIONS:
        file = Path(request["folder"]) / f"{request['model']}.{precision}.onnx"
        for way, run in ways(file, placement, max(BATCHES)):
            for batch in (1, 32) if tensorrt else FEW_BATCHES if rehearse else BATCHES:
                if time.monotonic() > ends:
                    complete = False
                    break
                call = run(batch)
                load = closed_loop(lambda call=call: call, 1, batch, SHORT_WINDOW_S if rehearse else WINDOW_S)
                rows.append({"precision": precision, "way": way, "batch": batch, **vars(load)})
    return {"model": request["model"], "rows": rows, "complete": complete, "provider": placement.choice.value}


def placement_of(rehearse: bool, tensorrt: bool, folder: Path) -> Placement:
    if tensorrt:
        cache = folder / "tensorrt"
        cache.mkdir(exist_ok=True)
        return Placement(ProviderChoice.TENSORRT, 0, cache)
    return Placement(ProviderChoice.CPU if rehearse else ProviderChoice.CUDA)


def ways(file: Path, placement: Placement, most: int) -> Iterator[tuple[str, Way]]:
    """Yield the names of the ways to run a model, each with its function; a session is made when it is asked for."""
    yield "tidepool", _engine(file, placement, most)
    session = ort.InferenceSession(file, providers=placement.providers(ort.get_available_providers()))
    provider = session.get_providers()[0]
    if placement.choice is not ProviderChoice.CPU and not on_gpu(provider):
        raise RuntimeError(f"ONNX Runtime fell back to {provider}; are the CUDA and cuDNN libraries there?")
    yield "ort", _plain(session)
    if provider != CPU:
        yield "ort, in GPU memory", _bound(session)


def _engine(file: Path, placement: Placement, most: int) -> Way:
    """Run uint8 images through the engine of a replica, with normalization and the copies to and from the card."""
    model = ModelLoader(most, placement=placement).load(file)

    def prepare(batch: int) -> Call:
        images = np.zeros((batch, *model.card.preprocessing.image.shape), np.uint8)
        return lambda: _ignore(model.run(images))

    return prepare


def _plain(session: ort.InferenceSession) -> Way:
    """Run normalized tensors in the memory of the host; each run copies them to the card, and the logits back."""

    def prepare(batch: int) -> Call:
        (node,) = session.get_inputs()
        feed = {node.name: np.zeros((batch, *node.shape[1:]), np.float32)}
        return lambda: _ignore(session.run(None, feed))

    return prepare


def _bound(session: ort.InferenceSession) -> Way:
    """Run tensors that are on the card already, and leave the logits there: the limit of any server."""

    def prepare(batch: int) -> Call:
        (node,) = session.get_inputs()
        binding = session.io_binding()
        array = np.zeros((batch, *node.shape[1:]), np.float32)
        binding.bind_ortvalue_input(node.name, ort.OrtValue.ortvalue_from_numpy(array, GPU_MEMORY, 0))
        for output in session.get_outputs():
            binding.bind_output(output.name, GPU_MEMORY, 0)

        def call() -> None:
            session.run_with_iobinding(binding)
            binding.synchronize_outputs()

        return call

    return prepare


def _ignore(_: object) -> None:
    return None


if __name__ == "__main__":
    main(measure)
