"""Normalization and augmentation of image batches."""

import numpy as np
import pytest
import torch
from torch import Tensor

from contract.training import Augment
from services.trainer.transforms import Normalize, augment, mixed

EVERYTHING = Augment(crop=0.5, colour=0.5, erase=0.5)


def test_normalize_per_channel() -> None:
    images = torch.tensor([0, 255], dtype=torch.uint8).view(1, 2, 1, 1)

    normalized = Normalize(mean=(0.5, 0.25), std=(0.25, 0.5))(images)

    assert normalized.dtype == torch.float32
    assert normalized.flatten().tolist() == [-2.0, 1.5]


def random_images(count: int, *shape: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (count, *shape), np.uint8))


def variants(image: Tensor, most: int) -> list[bytes]:
    """Every allowed outcome for one image, computed with np.pad."""
    _, height, width = image.shape
    padded = np.pad(image.numpy(), ((0, 0), (most, most), (most, most)), mode="reflect")
    windows = [
        padded[:, top : top + height, left : left + width]
        for top in range(2 * most + 1)
        for left in range(2 * most + 1)
    ]
    return [window[:, :, ::step].tobytes() for window in windows for step in (1, -1)]


@pytest.mark.parametrize(("side", "most"), [(32, 2), (16, 1), (7, 0)])
def test_every_image_is_shifted_and_mirrored_independently(side: int, most: int) -> None:
    before = random_images(64, 3, side, side)
    torch.manual_seed(0)

    after = augment(before, Augment())

    assert after.dtype == torch.uint8
    choices = [variants(image, most).index(new.numpy().tobytes()) for image, new in zip(before, after, strict=True)]
    assert len(set(choices)) > len(variants(before[0], most)) / 2


def test_same_seed_gives_the_same_images() -> None:
    before = random_images(16, 3, 32, 32)

    first, second, other = [torch.manual_seed(seed) and augment(before, Augment()) for seed in (1, 1, 2)]

    assert torch.equal(first, second)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 8, 40), (1, 33, 2)])
def test_shape_does_not_change(shape: tuple[int, int, int]) -> None:
    assert augment(random_images(5, *shape), EVERYTHING).shape == (5, *shape)


def test_without_flip_and_shift_images_stay() -> None:
    before = random_images(4, 3, 8, 8)

    assert torch.equal(augment(before, Augment(flip=False, shift=0)), before)


def test_a_crop_keeps_its_part_of_the_area() -> None:
    ramp = torch.arange(64, dtype=torch.uint8).mul(3).expand(50, 1, 64, 64)

    cropped = augment(ramp, Augment(flip=False, shift=0, crop=0.5)).float()

    widths = (cropped[..., -1] - cropped[..., 0]).mean(1).flatten() / 189
    assert widths.min() > 0.5
    assert widths.max() <= 1
    assert len(widths.unique()) > 10


def test_colour_changes_brightness_but_not_the_place_of_things() -> None:
    before = random_images(8, 3, 8, 8)

    after = augment(before, Augment(flip=False, shift=0, colour=0.4))

    assert after.dtype == torch.uint8
    assert not torch.equal(after, before)
    for old, new in zip(before.float(), after.float(), strict=True):
        assert torch.corrcoef(torch.stack([old.flatten(), new.flatten()]))[0, 1] > 0.8


def test_erase_blanks_a_rectangle_in_its_share_of_the_images() -> None:
    before = random_images(200, 3, 16, 16)

    after = augment(before, Augment(flip=False, shift=0, erase=0.5))

    changed = (after != before).any(dim=1).flatten(1).any(dim=1).float().mean()
    assert 0.3 < changed < 0.6


def test_mix_blends_images_and_their_labels_alike() -> None:
    torch.manual_seed(0)
    targets = torch.eye(4)

    images, labels = mixed(targets.view(4, 4, 1, 1), targets, mix=1.0)

    torch.testing.assert_close(images.flatten(1), labels)
    torch.testing.assert_close(labels.sum(1), torch.ones(4))
    assert (labels.max(1).values < 1).any()
