"""Layouts: reproducible, crowded as asked, nothing hidden, bias as asked."""

import numpy as np
import pytest
from scipy.stats import chi2_contingency

from mmdssl.datasets.scenes import PRESETS, SceneSpec, association, draw_layout

SPECS = {name: SceneSpec(**settings) for name, settings in PRESETS.items()}


def layouts(spec, count):
    return [draw_layout(spec, 'train', index) for index in range(count)]


def class_background_table(spec, scenes):
    table = np.zeros((len(spec.classes), len(spec.backgrounds)), int)
    for scene in scenes:
        for item in scene.objects:
            table[item.label, scene.background] += 1
    return table


def test_a_scene_follows_from_spec_split_and_index_alone():
    spec = SPECS['default']
    one, again = (draw_layout(spec, 'train', 7) for _ in range(2))
    np.testing.assert_array_equal(one.owner, again.owner)
    others = [
        draw_layout(spec, 'train', 8),
        draw_layout(spec, 'val', 7),
        draw_layout(SceneSpec(seed=1), 'train', 7),
    ]
    assert all((one.owner != other.owner).any() for other in others)


@pytest.mark.parametrize('preset', SPECS)
def test_number_of_objects_takes_all_asked_values_evenly(preset):
    spec = SPECS[preset]
    counts = np.bincount([len(s.objects) for s in layouts(spec, 300)], minlength=20)
    low, high = spec.objects
    assert counts[low : high + 1].sum() == 300
    assert counts[low : high + 1].min() > 0.6 * 300 / (high - low + 1)


def test_no_object_is_hidden_or_outside():
    spec = SPECS['default']
    covered = []
    for scene in layouts(spec, 100):
        for index, item in enumerate(scene.objects):
            x1, y1, x2, y2 = item.box
            alone = np.zeros_like(scene.owner, bool)
            alone[y1:y2, x1:x2] = item.alpha > 127
            visible = scene.mask(index)
            assert not (visible & ~alone).any()
            share = visible.sum() / alone.sum()
            assert share >= spec.min_visible
            assert alone.sum() >= 0.6 * item.scale**2
            covered.append(share < 1)
    assert 0.2 < np.mean(covered) < 0.8  # occlusion does occur


def test_sizes_and_shapes_are_as_asked():
    spec = SPECS['default']
    scenes = layouts(spec, 200)
    scales = np.array([i.scale for s in scenes for i in s.objects]) / spec.size
    assert scales.max() <= spec.scale[1]
    assert np.median(scales) > spec.scale[0]
    for item in (i for s in scenes[:50] for i in s.objects):
        assert item.shape == spec.classes[item.label].shape
        whole = item.box[0] > 0 < item.box[1] and max(item.box[2:]) < spec.size
        if whole:  # every shape has the area of its scale
            assert item.alpha.sum() / 255 == pytest.approx(item.scale**2, rel=0.06)
    shapes = {i.shape for s in layouts(SPECS['miniature'], 50) for i in s.objects}
    assert shapes == set(SPECS['miniature'].shapes)


def test_semantic_map_shows_the_visible_classes():
    scene = draw_layout(SPECS['default'], 'train', 1)
    semantic = scene.semantic()
    assert semantic.dtype == np.uint8
    np.testing.assert_array_equal(semantic == 0, scene.owner == -1)
    for index, item in enumerate(scene.objects):
        assert (semantic[scene.mask(index)] == item.label + 1).all()


def test_without_bias_classes_are_independent_of_the_background():
    spec = SceneSpec(context_bias=0.0)
    scenes = layouts(spec, 600)
    assert chi2_contingency(class_background_table(spec, scenes)).pvalue > 0.001
    facts = association(
        spec, [s.background for s in scenes], [[o.label for o in s.objects] for s in scenes]
    )
    assert facts['tied_share'] == pytest.approx(0.25, abs=0.03)
    assert facts['neighbour_share'] == pytest.approx(0.25, abs=0.03)


def test_with_full_bias_classes_occur_on_their_background_only():
    spec = SceneSpec(context_bias=1.0)
    for scene in layouts(spec, 150):
        assert {spec.classes[o.label].group for o in scene.objects} == {scene.background}
    used = {o.label for s in layouts(spec, 150) for o in s.objects}
    assert used == set(range(len(spec.classes)))


@pytest.mark.parametrize('bias', [0.25, 0.5, 0.75])
def test_share_of_tied_objects_follows_the_bias(bias):
    spec = SceneSpec(context_bias=bias)
    scenes = layouts(spec, 400)
    tied = [spec.classes[o.label].group == s.background for s in scenes for o in s.objects]
    expected = bias + (1 - bias) / 4
    assert np.mean(tied) == pytest.approx(expected, abs=4 * np.sqrt(0.25 / len(tied)))
    facts = association(
        spec, [s.background for s in scenes], [[o.label for o in s.objects] for s in scenes]
    )
    assert facts['tied_share'] == pytest.approx(np.mean(tied))
    assert facts['tied_share_expected'] == pytest.approx(expected)
    # Two objects share a group where both are tied to the background, or both to another kind.
    pair = expected**2 + 3 * ((1 - bias) / 4) ** 2
    assert facts['neighbour_share'] == pytest.approx(pair, abs=0.04)
