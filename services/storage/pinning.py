"""Pins what a request for a job refers to, before it is accepted."""

from contract.backbones import BackboneManifest
from contract.datasets import DatasetManifest
from contract.jobs import JobRequest
from contract.kinds.kind import Manifests
from contract.references import Noun, Reference, references_in, with_references
from contract.training import ModelManifest
from services.storage.sources import require_allowed
from services.storage.stores import ProjectStores


def pinned(request: JobRequest, stores: ProjectStores) -> JobRequest:
    """Look up what the request refers to and pin it to versions, so that later versions do not affect the job.

    Raises NotFound for an unknown dataset, model, backbone or upload, Conflict for an incomplete upload, BadModel for a
    rejected version, and what the spec's `check` raises.
    """
    pins = dict[tuple[Noun, str], str]()
    datasets, models = dict[str, DatasetManifest](), dict[str, ModelManifest]()
    backbones = dict[str, BackboneManifest]()
    for noun, text in references_in(request.spec):
        match noun:
            case "upload":
                stores.uploads.ref(text)
            case "dataset":
                reference, dataset = stores.datasets.manifest(Reference.parse(text))
                pins[noun, text], datasets[str(reference)] = str(reference), dataset
            case "model":
                reference, model = stores.models.manifest(Reference.parse(text))
                pins[noun, text], models[str(reference)] = str(reference), model
            case "start":
                reference, start = stores.start(Reference.parse(text))
                pins[noun, text] = str(reference)
                if isinstance(start, BackboneManifest):
                    backbones[str(reference)] = start
                else:
                    models[str(reference)] = start
    spec = with_references(request.spec, pins)
    spec.check(Manifests(datasets, models, backbones))
    require_allowed(spec)
    return request.model_copy(update={"spec": spec})
