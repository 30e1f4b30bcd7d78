"""Pictures: reproducible, objects where the layout says, textures and colours visible."""

import numpy as np
import pytest

from mmdssl.datasets.scenes import PRESETS, SceneSpec, draw_layout, render
from mmdssl.datasets.scenes.backgrounds import BACKGROUNDS
from mmdssl.datasets.scenes.spec import HUES
from mmdssl.datasets.scenes.textures import TEXTURES


def hue_of(pixels):
    """Mean hue of pixels (n, 3) in degrees, on the circle, weighted by colourfulness."""
    red, green, blue = pixels.astype(float).T
    return np.degrees(
        np.arctan2((np.sqrt(3) * (green - blue)).sum(), (2 * red - green - blue).sum())
    )


@pytest.mark.parametrize('preset', PRESETS)
def test_pixels_follow_from_spec_split_and_index_alone(preset):
    spec = SceneSpec(**PRESETS[preset])
    layout = draw_layout(spec, 'train', 3)
    image = render(spec, layout, 'train', 3)
    assert image.shape == (spec.size, spec.size, 3)
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image, render(spec, layout, 'train', 3))
    assert (image != render(spec, layout, 'train', 4)).any()


@pytest.mark.parametrize('preset', PRESETS)
def test_objects_have_the_colour_of_their_class(preset):
    spec = SceneSpec(**PRESETS[preset])
    checked = 0
    for index in range(20):
        layout = draw_layout(spec, 'train', index)
        image = render(spec, layout, 'train', index)
        for number, item in enumerate(layout.objects):
            hue = HUES[spec.classes[item.label].hue]
            # The angle in the chroma plane differs from the HSV hue by at most 1.2 degrees.
            difference = (hue_of(image[layout.mask(number)]) - hue + 180) % 360 - 180
            assert abs(difference) < 16
            checked += 1
    assert checked >= 20  # at least one a scene


def test_objects_stand_out_from_the_background():
    spec = SceneSpec()
    for index in range(20):
        layout = draw_layout(spec, 'train', index)
        image = render(spec, layout, 'train', index).astype(float)
        chroma = image.max(axis=2) - image.min(axis=2)
        assert chroma[layout.owner >= 0].mean() > 1.8 * chroma[layout.owner < 0].mean()


def test_quiet_backgrounds_are_quieter():
    loud, quiet = (SceneSpec(contrast=c, saturation=0.1, objects=(1, 1)) for c in (0.16, 0.06))
    spreads = []
    for spec in (loud, quiet):
        values = []
        for index in range(12):
            layout = draw_layout(spec, 'train', index)
            image = render(spec, layout, 'train', index).astype(float)
            values.append(image[layout.owner < 0].std(axis=0).mean())
        spreads.append(np.mean(values))
    assert spreads[0] > 2 * spreads[1]


@pytest.mark.parametrize('name', BACKGROUNDS)
def test_background_patterns_use_their_range(name):
    for seed in range(5):
        plane = BACKGROUNDS[name](128, np.random.default_rng(seed))
        assert plane.shape == (128, 128)
        assert plane.dtype == np.float32
        assert np.abs(plane).max() <= 1.001
        assert plane.std() > 0.3


@pytest.mark.parametrize('name', [n for n in TEXTURES if n != 'plain'])
def test_textures_alternate_between_both_tones(name):
    v, u = np.mgrid[-20:20, -20:20].astype(np.float32)
    plane = TEXTURES[name](u, v, 6.0)
    assert plane.dtype == np.float32
    assert plane.min() < 0.05
    assert plane.max() > 0.95
    assert 0.2 < plane.mean() < 0.8


def test_objects_of_classes_by_form_draw_any_of_the_colours():
    spec = SceneSpec(class_by='form', hues=('green', 'red'))
    near = {'green': 0, 'red': 0}
    for index in range(10):
        layout = draw_layout(spec, 'train', index)
        image = render(spec, layout, 'train', index)
        for number in range(len(layout.objects)):
            hue = hue_of(image[layout.mask(number)])
            distances = {n: abs((hue - HUES[n] + 180) % 360 - 180) for n in near}
            name = min(distances, key=distances.get)
            assert distances[name] < 16
            near[name] += 1
    assert min(near.values()) > 10
