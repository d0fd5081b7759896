"""How a batch is cut into virtual shards, and the order in which their vectors are added."""

import numpy as np
import pytest
import torch

from services.trainer.elastic.shards import Sharing, cut, total


@pytest.mark.parametrize(("images", "expected"), [(10, [3, 3, 2, 2]), (5, [3, 2]), (2, [2]), (1, [1])])
def test_shards_have_two_images_or_more(images: int, expected: list[int]) -> None:
    assert [len(shard) for shard in cut(np.arange(images), 4)] == expected


@pytest.mark.parametrize("shards", [1, 2, 3, 4, 7, 8])
@pytest.mark.parametrize("processes", [1, 2, 3, 4, 5])
def test_every_shard_is_computed_by_one_process(shards: int, processes: int) -> None:
    sharing = Sharing(shards, processes)

    numbers = [number for process in range(processes) for number in sharing.of(process)]
    from_trees = [number for p in range(processes) for tree in sharing.subtrees(p) for number in range(*tree)]

    assert numbers == from_trees == list(range(shards))


@pytest.mark.parametrize("shards", [1, 2, 3, 4, 7, 8])
@pytest.mark.parametrize("processes", [2, 3, 4, 5])
def test_the_total_has_the_same_bits_for_any_number_of_processes(shards: int, processes: int) -> None:
    vectors = torch.randn(shards, 1000, generator=torch.Generator().manual_seed(3)) ** 7
    sharing = Sharing(shards, processes)

    def leaf(number: int) -> torch.Tensor:
        return vectors[number].clone()

    sums = {tree: total(tree, {}, leaf) for p in range(processes) for tree in sharing.subtrees(p)}

    assert total((0, shards), sums).equal(total((0, shards), {}, leaf))
