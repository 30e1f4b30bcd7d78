"""Keys of the step: where those of an image stand, also on a second process."""

import pytest
import torch

from mmdssl.models.utils import batch_negatives, collectives
from mmdssl.models.utils.batch_negatives import check_other_images, keys_of_step


@pytest.mark.parametrize('rank', [0, 1])
def test_own_columns_are_those_of_the_image(monkeypatch, rank):
    both = torch.randn(2, 4, 3, 5)  # processes, images, keys of each, dimensions
    monkeypatch.setattr(batch_negatives.dist, 'get_rank', lambda: rank)
    monkeypatch.setattr(
        collectives.dist, 'all_gather', lambda one: [both[k].flatten(0, 1) for k in range(2)]
    )
    keys, own = keys_of_step(both[rank])
    assert keys.shape == (5, 2 * 4 * 3)
    assert torch.equal(keys.T[own], both[rank])


def test_a_step_of_one_image_is_refused():
    check_other_images('Host', 2)
    with pytest.raises(ValueError, match="Host: negatives='batch' with one image a step"):
        check_other_images('Host', 1)
