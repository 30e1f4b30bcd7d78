"""Images of n channels: normalised channel by channel, and no change that mixes R, G and B."""

import pytest
import torch

from mmdssl.models.data_preprocessors import MultiViewPreprocessor, multiview
from mmdssl.models.data_preprocessors.colour_augment import augment_colours
from mmdssl.models.data_preprocessors.colour_policy import ColourPolicy

MEAN, STD = [10.0, 60.0, 90.0, 120.0, 200.0], [20.0, 30.0, 40.0, 50.0, 60.0]
ALL = dict(
    jitter=dict(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.2, prob=1.0),
    grayscale=1.0,
    blur=dict(prob=1.0, sigma=(0.5, 1.0)),
    solarize=dict(prob=1.0, threshold=0.5),
)


def build(channels, **more):
    return MultiViewPreprocessor(mean=MEAN[:channels], std=STD[:channels], **more)


@pytest.mark.parametrize('channels', [1, 2, 4, 5])
def test_every_channel_has_its_own_normalisation(channels):
    images = torch.rand(2, channels, 8, 8)
    found = build(channels)(dict(inputs=images))['inputs']
    mean, std = (torch.tensor(x[:channels]).view(1, -1, 1, 1) for x in (MEAN, STD))
    torch.testing.assert_close(found, (255 * images - mean) / std, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('channels', [1, 5])
def test_channels_do_not_mix(channels):
    """What one channel holds has no influence on what becomes of the others."""
    images = torch.rand(16, channels, 16, 16)
    results = []
    for last in (images[:, -1:], torch.rand(16, 1, 16, 16)):
        given = torch.cat((images[:, :-1], last), 1)
        torch.manual_seed(0)
        data = dict(inputs=dict(views=[given]))
        results.append(build(channels, policies=[ALL])(data, True)['inputs']['views'][0])
    one, other = results
    assert torch.equal(one[:, :-1], other[:, :-1])
    assert not torch.equal(one[:, -1], other[:, -1])


def test_what_is_left_is_brightness_contrast_and_blur():
    policy = ColourPolicy.from_config(ALL)
    torch.manual_seed(0)
    draws = policy.without_hues().draw(32)
    torch.manual_seed(0)
    whole = policy.draw(32)
    assert torch.equal(draws.factors[:, :2], whole.factors[:, :2])
    assert torch.equal(draws.sigma, whole.sigma)
    assert set(draws.order.unique().tolist()) == {-1, 0, 1}
    assert not draws.grayscale.any()
    assert draws.threshold.isinf().all()


def test_contrast_is_about_the_mean_of_each_channel():
    policy = ColourPolicy.from_config(dict(jitter=dict(contrast=(0.5, 0.5))))
    images = 0.25 + 0.5 * torch.rand(3, 5, 8, 8)
    found = augment_colours(images, policy.draw(3), mean=torch.zeros(5), std=torch.ones(5))
    mean = images.mean((2, 3), keepdim=True)
    torch.testing.assert_close(found, mean + 0.5 * (images - mean), rtol=1e-5, atol=1e-6)


def test_the_log_says_it_once_and_only_where_something_is_left_out(monkeypatch):
    said = []
    monkeypatch.setattr(multiview, 'print_log', lambda text, *_: said.append(text))
    build(5, policies=[dict(blur=dict(prob=1.0)), dict()])
    build(3, policies=[ALL])
    assert not said
    build(5, policies=[ALL, ALL])
    assert len(said) == 1
    assert 'brightness, contrast and blur' in said[0]


def test_a_wrong_number_of_channels_is_said():
    with pytest.raises(ValueError, match=r'\(N, 5, H, W\), got .* mean and std .* have 5 values'):
        build(5)(dict(inputs=torch.rand(1, 4, 8, 8)))
    with pytest.raises(ValueError, match='one for each channel'):
        MultiViewPreprocessor(mean=MEAN, std=STD[:3])
