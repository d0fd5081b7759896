"""The process that examines an uploaded model: it confines itself, checks and runs the file, and writes a verdict."""

import os
import sys
from pathlib import Path

from pydantic import ValidationError

from contract.errors import BadModel, DeadlineExceeded
from contract.kinds.vet import ImageInput, ModelMetadata
from contract.models import ModelCard
from services.inference.engine.loader import ModelLoader
from services.inference.engine.providers import Placement, ProviderChoice
from services.inference.vetting.backbone import try_backbone
from services.inference.vetting.classifier import try_classifier
from services.inference.vetting.confinement import confine
from services.inference.vetting.findings import Behaviour, ExaminerRequest, Findings, Verdict
from services.inference.vetting.operators import OutputLayer
from services.inference.vetting.samples import read_npz
from services.inference.vetting.static import append_card, check, parse, remove_card
from services.inference.vetting.trial import Trial


def main(request_file: Path, verdict_file: Path) -> None:
    """Examine the model that one file requests and write the verdict to the other, in the model's folder."""
    request = ExaminerRequest.model_validate_json(request_file.read_text())
    folder = request.file.parent
    empty = folder / "empty"
    empty.mkdir(exist_ok=True)
    os.chdir(empty)  # so that no relative path in a model leads to a file
    confined = confine(request.memory_bytes, request.cpu_s, file_bytes=2**31, folders=[folder])
    for protection, holds in confined._asdict().items():
        if not holds:
            print(f"warning: no confinement of the {protection}", file=sys.stderr)
    try:
        verdict = Verdict(findings=_findings(request))
    except (BadModel, DeadlineExceeded) as error:
        verdict = Verdict(rejection=error.message)
    except MemoryError:
        verdict = Verdict(rejection=f"the model needs more than {request.memory_bytes >> 20} MiB of memory, the limit")
    verdict_file.write_text(verdict.model_dump_json())


def _findings(request: ExaminerRequest) -> Findings:
    model = parse(request.file.read_bytes())
    contents = check(model)
    metadata = _metadata(request.metadata, contents.card) if request.backbone is None else request.metadata
    bare = request.file
    if contents.card is not None:
        bare = request.file.with_suffix(".bare")
        remove_card(model)
        bare.write_bytes(model.SerializeToString(deterministic=True))
    del model  # it may be as large as everything that follows
    behaviour = _behaviour(bare, metadata, contents.output_layer, request)
    if behaviour.card is not None and behaviour.card != contents.card:
        append_card(bare, behaviour.card)
        bare.replace(request.file)
    return Findings(contents=contents, behaviour=behaviour)


def _behaviour(file: Path, metadata: ModelMetadata, layer: OutputLayer, request: ExaminerRequest) -> Behaviour:
    model = ModelLoader(request.max_batch, 1, Placement(ProviderChoice.CPU), request.run_s).load(file)
    if request.backbone is not None:
        trial = try_backbone(model, request.backbone)
        return Behaviour(inputs=model.inputs, outputs=model.outputs, batched=True, backbone=trial)
    if not metadata.labels or metadata.preprocessing is None:
        samples = metadata.samples if request.samples is None else read_npz(request.samples)
        return Trial(model, request.max_batch, samples).behaviour()
    classified = try_classifier(model, metadata, layer, request.max_batch)
    return Behaviour(
        inputs=model.inputs,
        outputs=model.outputs,
        batched=classified.card.max_batch != 1,
        card=classified.card,
        warnings=classified.warnings,
    )


def _metadata(uploaded: ModelMetadata, card: ModelCard | None) -> ModelMetadata:
    """Complete the uploaded metadata from the card in the file; raises BadModel if the card is contradictory."""
    if card is None:
        return uploaded
    preprocessing, image = card.preprocessing, card.preprocessing.image
    names = ("mean", "std", "scale", "layout", "dtype")
    declared = {name: getattr(preprocessing, name) for name in names if name in preprocessing.model_fields_set}
    try:
        stored = ModelMetadata(
            labels=card.labels,
            preprocessing=ImageInput(size=image.size, mode=image.mode, resize=image.resize, **declared),
            output=card.output if "output" in card.model_fields_set else None,
        )
    except ValidationError as error:
        reason = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise BadModel(f"the model card in the file's metadata is wrong: {reason}") from None
    changes = {name: value for name, value in dict(uploaded).items() if value}
    return stored.model_copy(update=changes)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
