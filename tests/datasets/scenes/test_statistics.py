"""Counts and association measures against values worked out by hand."""

import numpy as np
import pytest

from mmdssl.datasets.scenes import SceneSpec, association

SPEC = SceneSpec(
    shapes=('disc',),
    textures=('striped', 'plain'),
    backgrounds=('blobs', 'noise'),
    context_bias=0.5,
)  # class 0 belongs to blobs, class 1 to noise


def test_counts_and_shares():
    facts = association(SPEC, [0, 1, 0], [[0, 0, 1], [1], []])
    assert facts['images'] == 3
    assert facts['objects'] == 4
    assert facts['objects_per_image'] == [1, 1, 0, 1]
    assert facts['objects_per_class'] == {'striped_disc': 2, 'plain_disc': 2}
    assert facts['class_background']['plain_disc'] == {'blobs': 1, 'noise': 1}
    assert facts['tied_share'] == 0.75
    assert facts['tied_share_expected'] == 0.75
    assert facts['neighbour_share'] == pytest.approx(1 / 3)
    # Table [[2, 0], [1, 1]]: phi = 2 / sqrt(2 * 2 * 3 * 1)
    assert facts['cramers_v'] == pytest.approx(2 / np.sqrt(12))


def test_extremes_of_cramers_v():
    assert association(SPEC, [0, 1], [[0, 0], [1, 1]])['cramers_v'] == pytest.approx(1)
    assert association(SPEC, [0, 1], [[0, 1], [1, 0]])['cramers_v'] == pytest.approx(0)


def test_sets_too_small_for_a_measure_have_none():
    facts = association(SPEC, [], [])
    assert facts['tied_share'] is None
    assert association(SPEC, [0], [[0]])['neighbour_share'] is None
    assert association(SPEC, [0], [[0]])['cramers_v'] is None
