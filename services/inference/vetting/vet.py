"""The only place where vetting meets jobs: an uploaded file comes in, a model's manifest goes out."""

from contract.errors import BadModel
from contract.kinds.vet import VetSpec
from contract.training import ModelManifest, OnnxInfo
from services.inference.settings import InferenceSettings
from services.inference.vetting.findings import Findings, Order
from services.inference.vetting.process import examined
from services.inference.vetting.settings import VettingSettings
from worker.task import Task


def vet(task: Task) -> ModelManifest:
    """Look at the job's upload and try it; raises BadModel with the reason why it cannot be served."""
    spec, settings = VetSpec.model_validate(task.job.spec), VettingSettings()
    upload = task.uploads.ref(spec.source.upload)
    if upload.size > settings.file_bytes:
        raise BadModel(f"the file has {upload.size} bytes; a model may have at most {settings.file_bytes}")
    order = Order(
        file=task.folder / "model.onnx",
        card=spec.card,
        memory_bytes=settings.memory_bytes,
        cpu_s=settings.cpu_s,
        max_batch=InferenceSettings().max_batch,
    )
    task.objects.fetch(upload, order.file)
    findings = examined(order, settings.wall_s, lambda: task.report(0.5, "trying the model"))
    if findings.contents.card is None:
        task.log("the model can be asked through /v2; for pictures it needs labels and preprocessing in its metadata")
    return _manifest(task, spec, order, findings)


def _manifest(task: Task, spec: VetSpec, order: Order, findings: Findings) -> ModelManifest:
    artifact = task.put(order.file.name, order.file)
    contents, behaviour = findings.contents, findings.behaviour
    said = spec.preprocessing.preprocessing if spec.preprocessing else None
    return ModelManifest(
        artifact=artifact,
        labels=contents.card.labels if contents.card else spec.labels,
        preprocessing=contents.card.preprocessing if contents.card else said,
        inputs=behaviour.inputs,
        outputs=behaviour.outputs,
        batched=behaviour.batched,
        parameters=contents.parameters,
        onnx=OnnxInfo(sha256=artifact.sha256, size=artifact.size, opset=contents.opset, parity_max_abs_diff=None),
    )
