"""The model card: one page of Markdown for people, made from a version's manifest."""

import json
from collections.abc import Iterator
from itertools import chain

from contract.catalog import DatasetVersion
from contract.references import Reference
from contract.training import ModelManifest
from services.gateway.model_files.markdown import code, percent, table, text
from services.gateway.model_files.quality import quality

LABELS_SHOWN = 100


def card_of(reference: Reference, manifest: ModelManifest, dataset: DatasetVersion | None = None) -> str:
    """Return the card; `dataset` adds the numbers of images, if the dataset still exists."""
    sections = (
        _summary(manifest),
        _data(manifest, dataset),
        quality(manifest),
        _decisions(manifest, dataset),
        _variants(manifest),
        _limits(manifest),
        _usage(reference, manifest),
        _origin(manifest),
    )
    title = f"# {text(reference.name)}, version {reference.version}"
    return "\n".join([title, "", *chain.from_iterable(sections)]).rstrip() + "\n"


def _summary(manifest: ModelManifest) -> Iterator[str]:
    classes = f"tells {len(manifest.labels)} classes apart" if manifest.labels else "takes and returns tensors"
    origin = f"trained on the dataset {code(manifest.dataset)}" if manifest.dataset else "uploaded as an ONNX file"
    yield f"This model {classes}. It was {origin} and has {manifest.parameters:,} weights."
    test = manifest.metrics.test if manifest.metrics else None
    if test is not None:
        yield f"It names the right class for **{percent(test.accuracy)}** of the test images."
    yield ""


def _data(manifest: ModelManifest, dataset: DatasetVersion | None) -> Iterator[str]:
    if not manifest.labels:
        return
    yield from ["## Classes and data", ""]
    shown = ", ".join(map(text, manifest.labels[:LABELS_SHOWN]))
    more = len(manifest.labels) - LABELS_SHOWN
    yield from [shown + (f", and {more} more" if more > 0 else ""), ""]
    if dataset is not None:
        counts = dataset.counts
        yield f"{counts.train:,} images for training, {counts.val:,} for validation and {counts.test:,} for the test."
        if dataset.rejected:
            files = "1 file" if dataset.rejected == 1 else f"{dataset.rejected:,} files"
            yield f"{files} of the upload could not be used."
        yield from ["", *(f"- {text(warning.message)}" for warning in dataset.warnings), ""]
    study = manifest.study
    if study is not None and study.members:
        yield f"The answers are the mean of those of {study.members_text} of a search."
        yield ""
    elif manifest.best_epoch is not None:
        yield f"The weights are those of epoch {manifest.best_epoch} of {len(manifest.epochs)}, the best on validation."
        yield ""


def _decisions(manifest: ModelManifest, dataset: DatasetVersion | None) -> Iterator[str]:
    decisions = (*(dataset.decisions if dataset else ()), *manifest.decisions)
    if decisions:
        yield from ["## Decisions", "", "What was decided from the data, and why:", ""]
        rows = [(code(one.what), text(_shown(one.value)), text(one.because)) for one in decisions]
        yield from table(["what", "value", "because"], rows)


def _variants(manifest: ModelManifest) -> Iterator[str]:
    if not manifest.variants:
        return
    yield from [
        "## Variants",
        "",
        "The same network in several precisions, measured on the machine that made them:",
        "",
    ]
    rows = [
        (
            f"**{file.name}** (serves)" if file.name == manifest.serving else file.name,
            f"{file.size / 1e6:,.1f} MB",
            f"{file.images_per_second:,.0f}",
            percent(file.accuracy),
            percent(file.agreement),
        )
        for file in manifest.variants
    ]
    yield from table(["variant", "size:", "images a second:", "validation accuracy:", "same class as fp32:"], rows)


def _limits(manifest: ModelManifest) -> Iterator[str]:
    if not manifest.labels:
        return
    yield from ["## Limits", ""]
    yield f"- It always names one of its {len(manifest.labels)} classes, also for an image of something else."
    if manifest.unknown_below is not None:
        yield f"- Read an answer with a score below {manifest.unknown_below:.2f} as “unknown”."
    if manifest.preprocessing is not None:
        height, width = manifest.preprocessing.image.size
        how = {"stretch": "stretched", "crop": "cropped in the middle", "pad": "padded with black"}
        yield (
            f"- Every image is {how[manifest.preprocessing.image.resize]} to {width} × {height} pixels"
            f"{' in gray' if manifest.preprocessing.image.mode == 'L' else ''}; smaller details are lost."
        )
    if count := manifest.trained_on_erased:
        images = "1 image of its training was" if count == 1 else f"{count:,} images of its training were"
        yield f"- {images} erased from the data since. The weights keep what they learned; train it again without."
    if manifest.metrics is not None:
        yield "- The numbers above hold for images like those of the dataset; try it on your own images first."
    else:
        yield "- Nothing is known here of how good it is; evaluate it on a dataset with the same classes."
    yield ""


def _usage(reference: Reference, manifest: ModelManifest) -> Iterator[str]:
    yield from ["## How to call it", ""]
    if not manifest.labels or manifest.preprocessing is None:
        yield from ["Send tensors by the Open Inference Protocol:", "", "```sh"]
        yield f"curl $TIDEPOOL_URL/v2/models/{reference.name}/versions/{reference.version} \\"
        yield from ['  -H "Authorization: Bearer $TIDEPOOL_API_KEY"', "```", ""]
        rows = [
            (kind, code(tensor.name), tensor.dtype, code(list(tensor.shape)))
            for kind, tensors in (("input", manifest.inputs), ("output", manifest.outputs))
            for tensor in tensors
        ]
        yield from table(["", "name", "type", "shape"], rows)
        return
    path = f"/v1/models/{reference.name}/predict?version={reference.version}&top_k=3"
    yield from ["```sh", f'curl "$TIDEPOOL_URL{path}" \\', '  -H "Authorization: Bearer $TIDEPOOL_API_KEY" \\']
    yield from ['  -H "Content-Type: image/jpeg" --data-binary @photo.jpg', "```", "", "```python"]
    yield from ["from tidepool_client import Client", "", "with Client() as client:  # reads both variables"]
    yield f'    answer = client.predict("{reference}", "photo.jpg", top_k=3)'
    yield from ["    print(answer.predictions)", "```", ""]
    yield f"Without a server: download `/v1/models/{reference.name}/versions/{reference.version}/export`, and run"
    yield from ["`python predict.py photo.jpg` in it.", ""]


def _origin(manifest: ModelManifest) -> Iterator[str]:
    rows = [("ONNX file", code(f"sha256:{manifest.artifact.sha256}")), ("ONNX opset", str(manifest.onnx.opset))]
    if (lineage := manifest.lineage) is not None:
        rows += [
            ("data", code(f"sha256:{lineage.data_sha256}" if lineage.data_sha256 else "unknown")),
            ("started from", code(lineage.parent) if lineage.parent else "random weights"),
            ("code", code(lineage.code_version)),
            ("seed", str(lineage.seed)),
            ("libraries", text(", ".join(f"{name} {version}" for name, version in lineage.libraries.items()))),
            ("hardware", text(lineage.hardware)),
            ("spec", code(json.dumps(lineage.spec, ensure_ascii=False))),
        ]
    yield from ["## Where it comes from", "", *table(["", ""], rows)]


def _shown(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
