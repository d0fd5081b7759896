"""A published version as the Open Inference Protocol serves it: its target and its tensor signatures."""

from dataclasses import dataclass

from contract.errors import Invalid, NotFound
from contract.inference import Target, Tensors
from contract.references import Reference
from services.gateway.serving.routing import target_of
from services.gateway.serving.signature import ServedTensor
from services.storage.catalog.routes import Share


@dataclass(frozen=True, slots=True)
class Served:
    """One version: the target of its requests, the tensors that it takes and returns, and its labels, if it has any."""

    target: Target
    inputs: dict[str, ServedTensor]
    outputs: dict[str, ServedTensor]
    labels: tuple[str, ...] = ()

    @classmethod
    def of(cls, share: Share) -> "Served":
        """Build from the catalog; raises BadModel for a model whose types the protocol cannot carry."""
        return cls(
            target=target_of(share),
            inputs={tensor.name: ServedTensor.of(tensor) for tensor in share.manifest.inputs},
            outputs={tensor.name: ServedTensor.of(tensor) for tensor in share.manifest.outputs},
            labels=share.manifest.labels,
        )

    def check(self, tensors: Tensors) -> None:
        """Raise Invalid, with what to change, if the model cannot take this request."""
        for tensor in tensors.inputs:
            signature = self.inputs.get(tensor.name)
            if signature is None:
                raise Invalid(f"the model has no input {tensor.name[:80]!r}; its inputs are {_listed(self.inputs)}")
            signature.check(tensor)
        names = {tensor.name for tensor in tensors.inputs}
        if len(tensors.inputs) != len(self.inputs) or len(names) != len(self.inputs):
            raise Invalid(f"send each input of the model once: {_listed(self.inputs)}")
        for name in tensors.outputs:
            if name not in self.outputs:
                raise Invalid(f"the model has no output {name[:80]!r}; its outputs are {_listed(self.outputs)}")
        if len(set(tensors.outputs)) != len(tensors.outputs):
            raise Invalid("request each output once")


def no_such_model(model: str, version: str) -> NotFound:
    """Return the error for an unknown model or version; the names are cut to 80 characters."""
    return NotFound(f"there is no {f'version {version[:80]!r} of the ' if version else ''}model {model[:80]!r}")


def reference_to(model: str, version: str) -> Reference:
    """Parse a model's name and version from a request; raises Invalid, NotFound.

    The version may be an alias, and the name may be a whole reference, `name@alias`; "" is the newest version.
    """
    if version and "@" in model:
        raise Invalid("give the version in the model's name or after it, not both")
    try:
        return Reference.parse(f"{model}@{version}" if version else model)
    except Invalid:
        raise no_such_model(model, version) from None


def _listed(signatures: dict[str, ServedTensor]) -> str:
    return ", ".join(map(repr, signatures)) or "none"
