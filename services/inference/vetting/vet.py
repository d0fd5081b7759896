"""The handler of vetting jobs: examine an uploaded ONNX file and publish it as a model version."""

from pathlib import Path

from contract.errors import BadModel
from contract.kinds.vet import ModelMetadata, VetSpec
from contract.training import ModelManifest, OnnxInfo
from services.inference.settings import InferenceSettings
from services.inference.vetting.findings import ExaminerRequest, Findings
from services.inference.vetting.process import run_examiner
from services.inference.vetting.settings import VettingSettings
from worker.task import Task


def vet(task: Task) -> ModelManifest:
    """Check the job's upload and run it; raises BadModel with the reason if it cannot be served."""
    spec, settings = VetSpec.model_validate(task.job.spec), VettingSettings()
    upload = task.uploads.ref(spec.source.upload)
    if upload.size > settings.file_bytes:
        raise BadModel(f"the file has {upload.size} bytes; a model can have at most {settings.file_bytes}")
    request = ExaminerRequest(
        file=task.folder / "model.onnx",
        metadata=ModelMetadata(**{name: getattr(spec, name) for name in ModelMetadata.model_fields}),
        samples=_samples(task, spec, settings),
        memory_bytes=settings.memory_bytes,
        cpu_s=settings.cpu_s,
        max_batch=InferenceSettings().max_batch,
        run_s=InferenceSettings().run_s,
    )
    task.objects.fetch(upload, request.file)
    findings = run_examiner(request, settings.wall_s, lambda: task.report(0.5, "trying the model on sample inputs"))
    if findings.behaviour.card is None:
        task.log(
            "the model takes numbers through /v2, not images: its metadata does not say which classes it knows and how "
            "images are prepared for it"
        )
    for warning in findings.behaviour.warnings:
        task.log(f"warning: {warning.message}; {warning.advice}")
    return _manifest(task, spec, request, findings)


def _samples(task: Task, spec: VetSpec, settings: VettingSettings) -> Path | None:
    """Fetch the file of samples, if there is one."""
    if spec.samples_file is None:
        return None
    upload = task.uploads.ref(spec.samples_file.upload)
    if upload.size > settings.file_bytes:
        raise BadModel(f"the samples have {upload.size} bytes; they can have at most {settings.file_bytes}")
    file = task.folder / "samples.npz"
    task.objects.fetch(upload, file)
    return file


def _manifest(task: Task, spec: VetSpec, request: ExaminerRequest, findings: Findings) -> ModelManifest:
    artifact = task.put(request.file.name, request.file)
    contents, behaviour = findings.contents, findings.behaviour
    card = behaviour.card
    return ModelManifest(
        artifact=artifact,
        labels=card.labels if card else spec.labels,
        preprocessing=card.preprocessing if card else None,
        output=card.output if card else "logits",
        max_batch=card.max_batch if card else None,
        inputs=behaviour.inputs,
        outputs=behaviour.outputs,
        batched=behaviour.batched,
        warnings=behaviour.warnings,
        parameters=contents.parameters,
        onnx=OnnxInfo(sha256=artifact.sha256, size=artifact.size, opset=contents.opset, parity_max_abs_diff=None),
    )
