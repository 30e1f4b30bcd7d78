"""Slight colours: bounded, each by its own chance, nothing else moved."""

import numpy as np
import pytest

from mmdssl.datasets.transforms.slight_colours import SlightColours


def test_each_change_comes_by_its_own_chance_and_is_bounded(monkeypatch):
    seen: dict[str, list[float]] = {}
    module = 'mmdssl.datasets.transforms.slight_colours.functional.adjust_'
    for name in ('brightness', 'contrast', 'saturation', 'hue'):
        factors = seen.setdefault(name, [])
        monkeypatch.setattr(module + name, lambda image, by, f=factors: (f.append(by), image)[1])
    np.random.seed(0)
    results = dict(img=np.zeros((4, 5, 3), np.uint8), gt_seg_map=np.ones((4, 5), np.uint8))
    for _ in range(2000):
        SlightColours(strength=0.2, prob=0.25).transform(results)
    for name, found in seen.items():
        centre = 0 if name == 'hue' else 1
        assert 440 < len(found) < 560
        assert centre - 0.2 <= min(found) < centre - 0.19
        assert centre + 0.19 < max(found) <= centre + 0.2


def test_colours_change_and_shape_type_and_source_do_not():
    image = np.random.default_rng(0).integers(0, 256, (8, 6, 3), dtype=np.uint8)
    kept = image.copy()
    found = SlightColours(prob=1).transform(dict(img=image))['img']
    assert found.shape == image.shape
    assert found.dtype == np.uint8
    assert (found != image).any()
    np.testing.assert_array_equal(image, kept)
    same = SlightColours(prob=0).transform(dict(img=image))['img']
    np.testing.assert_array_equal(same, image)
    for wrong in (dict(strength=0.6), dict(prob=2)):
        with pytest.raises(ValueError, match='SlightColours'):
            SlightColours(**wrong)
