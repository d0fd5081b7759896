"""Check an image classifier by running it on trial images, and complete its card from what it does."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contract.errors import BadModel, DeadlineExceeded, Unavailable
from contract.kinds.vet import ModelMetadata
from contract.models import ModelCard, ModelWarning
from services.inference.engine.fit import fixed_batch, layouts, one_input, one_output, pixel_type
from services.inference.engine.model import LoadedModel
from services.inference.vetting.causes import cause_of
from services.inference.vetting.operators import OutputLayer
from services.inference.vetting.outputs import read_outputs
from services.inference.vetting.samples import trial_images

ONE_BY_ONE = ModelWarning(
    code="batch_of_one",
    message="the graph takes one image at a time, so images are not computed in batches",
    advice="export it with a free first axis to answer more images per second",
)
DEPENDENT = ModelWarning(
    code="batch_dependent",
    message="the outputs for an image depend on the other images of its batch, so images are run one at a time",
    advice="export the model in evaluation mode",
)


@dataclass(frozen=True)
class Classified:
    """A classifier that runs: its complete card, and what is doubtful."""

    card: ModelCard
    warnings: tuple[ModelWarning, ...]


def try_classifier(model: LoadedModel, metadata: ModelMetadata, layer: OutputLayer, max_batch: int) -> Classified:
    """Run a model, loaded without a card, on trial images; `metadata` has labels and preprocessing.

    Raises BadModel, with the cause, if it cannot classify images.
    """
    single = _single(model, metadata)
    outputs = _one_by_one(single)
    scores = outputs[:, 1:] if single.has_one_score else outputs
    output, warnings = read_outputs(scores, layer, metadata.output)
    limit, doubts = _batch_limit(single, outputs, max_batch)
    return Classified(single.card.model_copy(update={"output": output, "max_batch": limit}), (*doubts, *warnings))


def _single(model: LoadedModel, metadata: ModelMetadata) -> LoadedModel:
    """Return the model for one image at a time, with a card that has the layout in which it runs."""
    image = metadata.preprocessing
    if image is None:
        raise BadModel("to classify images the model needs preprocessing in its metadata")
    tensor = one_input(model.inputs)
    one_output(model.outputs)
    dtype = pixel_type(tensor, image.dtype)
    errors, models = [], []
    for layout in layouts(tensor, image.image, image.layout):
        card = ModelCard(labels=metadata.labels, preprocessing=image.preprocessing(layout, dtype), max_batch=1)
        single = LoadedModel(model.session, card, 1)
        try:
            single.warm_up()
        except BadModel as error:
            errors.append(error)
        else:
            models.append(single)
    if not models:
        raise cause_of(model, image, dtype, errors[0])
    if len(models) > 1:
        names = " and ".join(single.card.preprocessing.layout for single in models)
        raise BadModel(f"the graph runs on images in the layouts {names}; say which in preprocessing.layout")
    return models[0]


def _one_by_one(single: LoadedModel) -> NDArray[np.float32]:
    images = trial_images(single.card.preprocessing.image.shape)
    try:
        return np.concatenate([single.run(image[np.newaxis]) for image in images])
    except Unavailable:
        raise BadModel("the graph runs on a black image, but fails on white images and on noise") from None


def _batch_limit(
    single: LoadedModel, alone: NDArray[np.float32], max_batch: int
) -> tuple[int | None, list[ModelWarning]]:
    """Return the largest batch that the graph takes, None if it takes any; `alone` are the outputs of single images."""
    fixed = fixed_batch(single.inputs[0])
    size = largest = fixed or max(max_batch, 2)
    while (together := _together(single, size)) is None:
        size //= 2
    if size == 1:
        return 1, [ONE_BY_ONE]
    if not close(together, alone, half="float16" in (single.inputs[0].dtype, single.outputs[0].dtype)):
        if fixed:
            raise BadModel(
                f"the graph runs batches of {fixed} images, and its outputs for an image depend on the others; export "
                "it in evaluation mode, or with a batch of 1"
            )
        return 1, [DEPENDENT]
    return (size, [_limited(size)]) if size < largest else (fixed, [])


def _together(single: LoadedModel, size: int) -> NDArray[np.float32] | None:
    """Return the outputs for the trial images in batches of `size`, or None if the graph cannot run such batches."""
    card = single.card.model_copy(update={"max_batch": size})
    try:
        model = LoadedModel(single.session, card, size)
        model.warm_up()
        return model.run(trial_images(card.preprocessing.image.shape))
    except (BadModel, DeadlineExceeded, Unavailable):
        if size == 1:
            raise
        return None


def _limited(size: int) -> ModelWarning:
    return ModelWarning(
        code="batch_limited",
        message=f"the graph fails on larger batches or takes too long, so at most {size} images are run together",
        advice="check that its first axis is free everywhere, and that it fits into the memory limit of vetting",
    )


def close(array: NDArray[np.generic], reference: NDArray[np.generic], half: bool) -> bool:
    """Return whether outputs are equal except for the last digits, in which kernels differ between batch sizes."""
    tolerance = 1e-2 if half else 1e-3
    return bool(np.allclose(array, reference, rtol=tolerance, atol=tolerance / 10, equal_nan=True))
