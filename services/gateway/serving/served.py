"""The only place that makes a published version ready to be asked through the protocol."""

from dataclasses import dataclass

from contract.errors import Invalid, NotFound
from contract.inference import Target, Tensors
from contract.references import Reference
from services.gateway.serving.signature import Signature
from services.gateway.serving.traffic import target_of
from services.storage.catalog.routes import Share


@dataclass(frozen=True, slots=True)
class Served:
    """One version: where its questions go, and what they must look like."""

    target: Target
    inputs: dict[str, Signature]
    outputs: dict[str, Signature]

    @classmethod
    def of(cls, share: Share) -> "Served":
        """From what the catalog says; raises BadModel for a model that the protocol cannot carry."""
        return cls(
            target=target_of(share),
            inputs={found.name: Signature.of(found) for found in share.manifest.inputs},
            outputs={found.name: Signature.of(found) for found in share.manifest.outputs},
        )

    def check(self, asked: Tensors) -> None:
        """Raises Invalid, saying what to change, unless the model can be asked this."""
        for tensor in asked.inputs:
            signature = self.inputs.get(tensor.name)
            if signature is None:
                raise Invalid(f"the model has no input {tensor.name[:80]!r}; its inputs are {_listed(self.inputs)}")
            signature.check(tensor)
        if len(asked.inputs) != len(self.inputs) or len({tensor.name for tensor in asked.inputs}) != len(self.inputs):
            raise Invalid(f"send each input of the model once: {_listed(self.inputs)}")
        for name in asked.outputs:
            if name not in self.outputs:
                raise Invalid(f"the model has no output {name[:80]!r}; its outputs are {_listed(self.outputs)}")
        if len(set(asked.outputs)) != len(asked.outputs):
            raise Invalid("ask for each output once")


def _listed(signatures: dict[str, Signature]) -> str:
    return ", ".join(map(repr, signatures)) or "none"


def reference_to(model: str, version: str) -> Reference:
    """What a model's name and version in a request mean, each as a person writes it; raises Invalid, NotFound.

    The version may be an alias, and the name may be a whole reference, `name@alias`; without either it is the newest.
    """
    if version and "@" in model:
        raise Invalid("give the version in the model's name or after it, not both")
    try:
        return Reference.parse(f"{model}@{version}" if version else model)
    except Invalid:
        raise NotFound(
            f"there is no model {model[:80]!r}{f' of the version {version[:80]!r}' if version else ''}"
        ) from None
