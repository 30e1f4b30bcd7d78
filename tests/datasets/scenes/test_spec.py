"""Parameters of scenes: classes, groups, presets, refusals."""

import pytest

from mmdssl.datasets.scenes import PRESETS, SceneSpec
from mmdssl.datasets.scenes.shapes import SHAPES
from mmdssl.datasets.scenes.spec import HUES
from mmdssl.datasets.scenes.textures import TEXTURES


def test_default_classes_are_shape_by_texture_with_a_colour_a_texture():
    spec = SceneSpec()
    assert len(spec.classes) == len(spec.shapes) * len(spec.textures) >= 12
    assert len({(c.shape, c.texture) for c in spec.classes}) == len(spec.classes)
    assert len({c.name for c in spec.classes}) == len(spec.classes)
    assert len({(c.texture, c.hue) for c in spec.classes}) == len(spec.textures)


def test_miniature_classes_are_hue_by_texture_of_any_shape():
    spec = SceneSpec(**PRESETS['miniature'])
    assert len(spec.classes) == 12
    assert len({(c.hue, c.texture) for c in spec.classes}) == 12
    assert {c.shape for c in spec.classes} == {None}
    assert (spec.size, spec.objects, spec.context_bias) == (96, (2, 4), 0.5)
    assert len(spec.backgrounds) == 4


@pytest.mark.parametrize('preset', PRESETS)
def test_every_background_has_as_many_classes_and_no_attribute_tells_it(preset):
    spec = SceneSpec(**PRESETS[preset])
    assert {len(group) for group in spec.groups} == {len(spec.classes) // len(spec.backgrounds)}
    assert sorted(i for group in spec.groups for i in group) == list(range(len(spec.classes)))
    for attribute in ('texture', 'shape', 'hue'):
        for group in spec.groups:
            values = [getattr(spec.classes[i], attribute) for i in group]
            elsewhere = {
                getattr(c, attribute) for i, c in enumerate(spec.classes) if i not in group
            }
            assert set(values) <= elsewhere


@pytest.mark.parametrize(('shapes', 'textures'), [(1, 4), (2, 2), (2, 3), (3, 3), (6, 1), (9, 4)])
def test_every_background_has_a_class_whatever_the_numbers(shapes, textures):
    spec = SceneSpec(
        shapes=tuple(SHAPES)[:shapes], textures=tuple(TEXTURES)[:textures], hues=tuple(HUES)
    )
    assert len(spec.classes) == shapes * textures
    assert min(len(group) for group in spec.groups) > 0


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(shapes=('disc', 'blot')), "no shape 'blot'.*disc"),
        (dict(textures=('striped', 'striped')), 'named twice'),
        (dict(backgrounds=()), 'at least one background'),
        (dict(shapes=('disc',), textures=('striped',)), 'too few for 4'),
        (dict(textures=('striped', 'plain'), hues=('red',)), 'a colour each'),
        (dict(context_bias=1.5), r'0\.\.1, got 1\.5'),
        (dict(objects=(5, 3)), r'\(5, 3\)'),
        (dict(size=16), 'at least 32'),
        (dict(seed=-1), 'negative'),
        (dict(scale=(0.5, 0.2)), 'scale'),
        (dict(min_visible=0), 'min_visible'),
        (dict(class_by='size'), "'size'"),
    ],
)
def test_wrong_settings_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        SceneSpec(**settings)


def test_classes_by_form_are_shape_by_texture_without_a_colour():
    spec = SceneSpec(class_by='form', hues=('green', 'red'))
    assert [entry.name for entry in spec.classes] == [e.name for e in SceneSpec().classes]
    assert [entry.group for entry in spec.classes] == [e.group for e in SceneSpec().classes]
    assert all(entry.hue is None for entry in spec.classes)
