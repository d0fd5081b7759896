"""Parsing and formatting of references, and the fields that hold them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from contract.errors import Invalid
from contract.references import Reference, ReferenceText, references_in, with_references
from tests.examples import PREDICT_SPEC, PREPROCESS_SPEC, UPLOAD_ID


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("cifar10", Reference(name="cifar10")),
        ("cifar10@1", Reference(name="cifar10", version=1)),
        ("a.b_c-d@2147483647", Reference(name="a.b_c-d", version=2**31 - 1)),
        ("cnn@production", Reference(name="cnn", alias="production")),
        ("cnn@7up", Reference(name="cnn", alias="7up")),
        ("cnn@v1.2", Reference(name="cnn", alias="v1.2")),
        ("7@7", Reference(name="7", version=7)),
        ("x" * 63 + "@" + "y" * 63, Reference(name="x" * 63, alias="y" * 63)),
    ],
)
def test_a_reference_is_parsed_and_formatted(text: str, reference: Reference) -> None:
    assert Reference.parse(text) == reference
    assert str(reference) == text
    assert TypeAdapter(ReferenceText).validate_python(text) == text


@pytest.mark.parametrize(
    "text",
    ["", "@", "a@", "@1", "a@b@c", "a@1@2", "A", "a b", "a@B", "a@-1", "a@+1", "a@٣", "a@1\n", "a/b", "../a", "x" * 64],
)
def test_text_that_is_not_a_reference_is_rejected(text: str) -> None:
    with pytest.raises(Invalid, match="is not a reference"):
        Reference.parse(text)
    with pytest.raises(ValidationError):
        TypeAdapter(ReferenceText).validate_python(text)


@pytest.mark.parametrize("text", ["a@0", "a@000", "a@2147483648", "a@" + "9" * 63])
def test_a_version_out_of_range_is_rejected(text: str) -> None:
    with pytest.raises(Invalid, match="names no version"):
        Reference.parse(text)


def test_the_error_about_a_long_text_is_short() -> None:
    with pytest.raises(Invalid) as caught:
        Reference.parse("?" * 10_000)

    assert len(caught.value.message) < 200


NAMES = st.text("az09._-", max_size=62).map("a".__add__)


@given(NAMES, st.none() | st.integers(1, 2**31 - 1) | NAMES)
def test_a_formatted_reference_parses_to_the_same_value(name: str, which: int | str | None) -> None:
    reference = Reference(
        name=name,
        version=which if isinstance(which, int) else None,
        alias=which if isinstance(which, str) else None,
    )

    assert Reference.parse(str(reference)) == reference


def test_references_are_listed_from_marked_fields_also_of_nested_models() -> None:
    assert list(references_in(PREDICT_SPEC)) == [("model", "pet-cnn@1"), ("dataset", "pets@1")]
    assert list(references_in(PREPROCESS_SPEC)) == [("upload", UPLOAD_ID)]


def test_references_are_replaced_by_noun_and_text() -> None:
    pinned = with_references(PREDICT_SPEC, {("dataset", "pets@1"): "pets@7", ("model", "pets@1"): "wrong@1"})

    assert list(references_in(pinned)) == [("model", "pet-cnn@1"), ("dataset", "pets@7")]
    assert (pinned.top_k, pinned.format) == (PREDICT_SPEC.top_k, PREDICT_SPEC.format)
