"""The choice of the variant that serves."""

import numpy as np

from contract.variants import VariantName
from services.trainer.variant_choice import CheckedImages, Measured, choose

VALIDATION = 1000


def checked(validation: int, training: int = 0) -> CheckedImages:
    count = validation + training
    return CheckedImages(np.zeros(count, np.int64), np.arange(count) < validation)


def measured(speed: float, wrong: int = 0, differs: int = 0, count: int = VALIDATION) -> Measured:
    """A variant that gets the first `wrong` images wrong and differs from fp32 in the first `differs`."""
    numbers = np.arange(count)
    return Measured(speed, numbers >= wrong, numbers >= differs, 0.1)


def chosen(count: CheckedImages | None = None, **variants: Measured) -> tuple[VariantName, str]:
    named: dict[VariantName, Measured] = {"fp32": measured(100, wrong=100)} | variants  # type: ignore[dict-item]
    return choose(named, count or checked(VALIDATION), "per-channel")


def test_the_fastest_variant_that_is_as_good_serves() -> None:
    assert chosen(fp16=measured(150, wrong=100), int8=measured(300, wrong=105)) == (
        "int8",
        "int8 (per-channel) answers 300 images a second, fp32 100; validation accuracy 89.5 % against 90.0 %",
    )


def test_a_variant_that_loses_more_than_half_a_point_does_not_serve() -> None:
    serving, because = chosen(fp16=measured(150, wrong=100), int8=measured(300, wrong=106))
    assert (serving, because.partition(" ")[0]) == ("fp16", "fp16")

    serving, because = chosen(fp16=measured(90, wrong=100), int8=measured(300, wrong=106))
    assert serving == "fp32"
    assert because.endswith("validation accuracy 89.4 % against 90.0 %")


def test_a_gain_within_the_noise_of_the_measurement_does_not_count() -> None:
    assert chosen(int8=measured(109, wrong=100))[0] == "fp32"
    assert chosen(int8=measured(111, wrong=100))[0] == "int8"


def test_a_slow_variant_that_was_checked_on_fewer_images_is_no_rival() -> None:
    assert chosen(fp16=measured(50, wrong=0, count=64), int8=measured(300, wrong=100))[0] == "int8"


def test_with_few_validation_images_training_images_count_too() -> None:
    few = checked(validation=50, training=350)
    fp32 = measured(100, wrong=40, count=400)

    serving, because = chosen(few, fp32=fp32, int8=measured(300, wrong=41, differs=4, count=400))
    assert serving == "int8"
    assert "with only 50 validation images, 400 validation and training images are compared" in because

    # one validation image of 50 is two points, but the other images decide
    assert chosen(few, fp32=fp32, int8=measured(300, wrong=43, count=400))[0] == "fp32"
    assert chosen(few, fp32=fp32, int8=measured(300, wrong=40, differs=5, count=400))[0] == "fp32"


def test_without_rivals_fp32_serves() -> None:
    assert chosen() == ("fp32", "only fp32 could be made")
