"""Renders a kustomization, with kubectl or with the few rules of kustomize that ours use."""

import subprocess
from pathlib import Path
from typing import Any

import yaml

from tests.support.deployment import KUBERNETES, Document


def by_kubectl(overlay: str) -> list[Document]:
    command = ["kubectl", "kustomize", KUBERNETES / overlay]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return list(yaml.safe_load_all(done.stdout))


def by_reading(overlay: str) -> list[Document]:
    """Resources, strategic merge patches, images and the namespace; raises KeyError for anything else."""
    return _rendered(KUBERNETES / overlay)


def _rendered(folder: Path) -> list[Document]:
    kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text())
    rendered: list[Document] = []
    for name, value in kustomization.items():
        match name:
            case "apiVersion" | "kind":
                pass
            case "resources":
                rendered += [document for resource in value for document in _read(folder / resource)]
            case "namespace" | "patches" | "images":
                pass
            case _:
                raise KeyError(name)
    for patch in (patch for file in kustomization.get("patches", ()) for patch in _read(folder / file["path"])):
        (index,) = (index for index, document in enumerate(rendered) if _identity(document) == _identity(patch))
        rendered[index] = _merged(rendered[index], patch)
    images = {
        image["name"]: f"{image.get('newName', image['name'])}:{image['newTag']}" for image in _images(kustomization)
    }
    for document in rendered:
        if "namespace" in kustomization and document["kind"] != "Namespace":
            document["metadata"]["namespace"] = kustomization["namespace"]
        for container in containers(document):
            container["image"] = images.get(container["image"], container["image"])
    return rendered


def containers(document: Document) -> list[Document]:
    """Return the containers of a workload; empty for other documents."""
    return list(document.get("spec", {}).get("template", {}).get("spec", {}).get("containers", ()))


def _read(path: Path) -> list[Document]:
    return _rendered(path) if path.is_dir() else list(yaml.safe_load_all(path.read_text()))


def _images(kustomization: Document) -> list[dict[str, str]]:
    return list(kustomization.get("images", ()))


def _identity(document: Document) -> tuple[str, str]:
    return document["kind"], document["metadata"]["name"]


def _merged(value: Any, patch: Any) -> Any:
    """Strategic merge: mappings by key, lists of named items by name; null deletes."""
    if isinstance(value, dict) and isinstance(patch, dict):
        merged = {key: _merged(value.get(key), item) for key, item in patch.items() if item is not None}
        return {key: item for key, item in value.items() if key not in patch} | merged
    if (
        isinstance(value, list)
        and isinstance(patch, list)
        and all(isinstance(item, dict) and "name" in item for item in patch)
    ):
        named = {item["name"]: item for item in value} | {
            item["name"]: _merged(next((old for old in value if old["name"] == item["name"]), {}), item)
            for item in patch
        }
        return list(named.values())
    return patch
