"""Which file of a version serves."""

from contract.variants import Variant, artifact_of, serving_artifact
from tests.examples import MODEL_MANIFEST, ONNX_FILE, VETTED_MANIFEST

INT8_FILE = ONNX_FILE.model_copy(update={"key": "int8.onnx"})
INT8 = Variant(name="int8", artifact=INT8_FILE, size=1, accuracy=None, agreement=None, images_per_second=1.0)
MANIFEST = MODEL_MANIFEST.model_copy(update={"variants": (INT8,), "serving": "int8"})


def test_the_choice_of_the_training_serves_unless_a_variant_is_pinned() -> None:
    assert serving_artifact(MANIFEST) == ("int8", INT8_FILE)
    assert serving_artifact(MANIFEST, pinned="fp32") == ("fp32", ONNX_FILE)


def test_a_variant_that_the_version_lacks_does_not_serve() -> None:
    assert serving_artifact(MANIFEST, pinned="fp16") == ("int8", INT8_FILE)
    assert serving_artifact(MANIFEST.model_copy(update={"serving": "fp16"})) == ("fp32", ONNX_FILE)


def test_every_version_has_fp32() -> None:
    assert artifact_of(VETTED_MANIFEST, "fp32") == VETTED_MANIFEST.artifact
    assert artifact_of(VETTED_MANIFEST, "int8") is None
    assert serving_artifact(VETTED_MANIFEST) == ("fp32", VETTED_MANIFEST.artifact)
