"""Jordan's network."""

import pytest
import torch

from services.trainer.airbench import Norm, airbench


def test_the_first_filters_tell_apart_what_2x2_pixels_can_differ_in() -> None:
    stem = airbench((3, 32, 32), classes=10)[0]

    filters = stem.weight.detach().flatten(1)

    assert torch.allclose(filters[:12] @ filters[:12].T, torch.eye(12), atol=1e-6)
    assert torch.equal(filters[12:], -filters[:12])


def test_convolutions_begin_by_passing_their_input_on() -> None:
    convolutions = [m for m in airbench((3, 32, 32), classes=10) if isinstance(m, torch.nn.Conv2d)][1:]
    images = torch.rand(2, 24, 8, 8)

    assert torch.equal(convolutions[0](images)[:, :24], images)
    assert [conv.out_channels for conv in convolutions] == [64, 64, 128, 128, 256, 256]


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 28, 28), (3, 1, 1), (1, 2, 9), (3, 100, 70)])
def test_it_takes_images_of_any_size(shape: tuple[int, int, int]) -> None:
    assert airbench(shape, classes=7).eval()(torch.rand(2, *shape)).shape == (2, 7)


def test_the_weights_do_not_depend_on_the_size_of_the_images() -> None:
    small, large = (airbench((3, side, side), classes=10).state_dict() for side in (1, 96))

    assert {name: value.shape for name, value in small.items()} == {name: value.shape for name, value in large.items()}


def test_training_begins_with_small_logits() -> None:
    network = airbench((3, 32, 32), classes=10).eval()
    images = torch.rand(2, 3, 32, 32)

    assert torch.allclose(network[:-1](images) * 9, network[:-2](images))


def test_biases_of_norms_learn_64_times_as_fast_as_those_of_batch_normalization() -> None:
    fast, plain = Norm(4), torch.nn.BatchNorm2d(4)
    images = torch.rand(8, 4, 5, 5)

    for norm in (fast, plain):
        optimizer = torch.optim.SGD(norm.parameters(), lr=0.01)
        norm(images)[:, 0].sum().backward()
        optimizer.step()

    moved, plainly = ((norm(images) - torch.nn.BatchNorm2d(4)(images)).mean((0, 2, 3)) for norm in (fast, plain))
    assert torch.allclose(moved, 64 * plainly, atol=1e-4)
    assert plainly[0] < -1


def test_norms_use_running_statistics_after_training() -> None:
    norm = Norm(2)
    images = torch.randn(64, 2, 8, 8, generator=torch.Generator().manual_seed(0)) * 3 + 5

    for _ in range(30):
        norm(images)

    assert torch.allclose(norm.eval()(images), norm.train()(images), atol=0.01)
