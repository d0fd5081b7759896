"""A command that examines an ONNX backbone in the same confined process as uploaded models."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from contract.errors import BadModel
from contract.kinds.vet import ModelMetadata
from services.inference.engine.command import print_result
from services.inference.settings import InferenceSettings
from services.inference.vetting.findings import BackboneShape, ExaminerRequest
from services.inference.vetting.process import run_examiner
from services.inference.vetting.settings import VettingSettings

TRIAL_BATCH = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the findings, or the reason for a rejection, as one JSON line; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m services.inference.vetting.command")
    parser.add_argument("file", type=Path, metavar="BACKBONE.onnx")
    parser.add_argument("--channels", type=int, default=3)
    parser.add_argument("--size", type=int, nargs=2, metavar=("HEIGHT", "WIDTH"))
    options = parser.parse_args(arguments)
    size = tuple(options.size) if options.size else None
    return print_result(lambda: _examined(options.file, BackboneShape(channels=options.channels, size=size)))


def _examined(file: Path, shape: BackboneShape) -> dict[str, object]:
    settings = VettingSettings()
    request = ExaminerRequest(
        file=file,
        metadata=ModelMetadata(),
        backbone=shape,
        memory_bytes=settings.memory_bytes,
        cpu_s=settings.cpu_s,
        max_batch=TRIAL_BATCH,
        run_s=InferenceSettings().run_s,
    )
    try:
        if file.stat().st_size > settings.file_bytes:
            raise BadModel(f"the file is larger than {settings.file_bytes} bytes, the limit")
        findings = run_examiner(request, settings.wall_s, lambda: None)
    except BadModel as error:
        return {"rejection": error.message}
    trial = findings.behaviour.backbone
    if trial is None:
        raise ValueError("the examiner did not try the backbone")
    contents = findings.contents
    return {"opset": contents.opset, "parameters": contents.parameters, **trial.model_dump(mode="json")}


if __name__ == "__main__":
    sys.exit(main())
