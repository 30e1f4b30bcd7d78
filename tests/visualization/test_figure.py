"""Images of n channels are shown by three of theirs, in their own brightness."""

import numpy as np
import pytest
import torch

from mmdssl.datasets.channels import false_colours
from mmdssl.models.data_preprocessors import MultiViewPreprocessor
from mmdssl.visualization.figure import Denormalise, as_image, loaded_image, photo_image

PIXELS = torch.randint(0, 256, (5, 6, 4), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ('channels', 'shown'), [(1, [0, 0, 0]), (2, [0, 1, 1]), (3, [0, 1, 2]), (5, [0, 1, 2])]
)
def test_three_channels_are_shown(channels, shown):
    found = as_image(PIXELS[:channels].float())
    np.testing.assert_array_equal(found, PIXELS[shown].permute(1, 2, 0))
    assert found.dtype == np.uint8


def test_a_loader_gives_bytes_or_shares_of_white():
    wanted = as_image(PIXELS.byte())
    np.testing.assert_array_equal(loaded_image(PIXELS.byte()), wanted)
    np.testing.assert_array_equal(loaded_image(PIXELS / 255), wanted)


@pytest.mark.parametrize('channels', [1, 3, 5])
def test_normalised_images_come_back(channels):
    statistics = dict(mean=[20.0, 90.0, 120.0, 30.0, 70.0], std=[9.0, 30.0, 40.0, 60.0, 7.0])
    preprocessor = MultiViewPreprocessor(**{k: v[:channels] for k, v in statistics.items()})
    images = PIXELS[None, :channels].byte()
    back = Denormalise(preprocessor)(preprocessor(dict(inputs=images))['inputs'])
    torch.testing.assert_close(back, images.float(), atol=0.01, rtol=1e-4)


def test_whole_images_of_n_channels_are_shown_in_false_colours():
    shares = PIXELS / 255
    wanted = false_colours(shares.permute(1, 2, 0).numpy())
    np.testing.assert_array_equal(photo_image(shares), wanted)
    np.testing.assert_array_equal(photo_image(PIXELS[:3].byte()), as_image(PIXELS[:3].byte()))
    assert (wanted != loaded_image(shares)).any()
