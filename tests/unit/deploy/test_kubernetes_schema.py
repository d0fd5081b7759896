"""Every document has the fields that Kubernetes itself knows; KEDA's are in test_keda."""

import kubernetes_validate
import pytest

from tests.support.deployment import Document, documents
from tests.support.kustomize import by_reading

OLDEST, NEWEST = "1.29", kubernetes_validate.latest_version()


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("overlay", ["base", "cpu", "gpu", "keda", "ha"])
def test_every_document_is_valid(overlay: str, version: str) -> None:
    faults = {}
    for document in by_reading(overlay) + documents("secrets.example.yaml"):
        if not document["apiVersion"].startswith("keda.sh/"):
            try:
                kubernetes_validate.validate(document, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                faults[document["kind"], document["metadata"]["name"]] = error.message

    assert faults == {}


def test_a_field_that_kubernetes_does_not_know_is_found() -> None:
    (document,) = documents("base/account.yaml")
    wrong: Document = document | {"automountToken": False}

    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, NEWEST, strict=True)
