from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from torchvision.ops import box_iou

from mmdssl.datasets.proposals.filters import Rule
from mmdssl.datasets.proposals.producers import ProposalSettings
from tests.datasets.proposals.photos import photo


def test_parameters_name_every_number_of_search_and_filter():
    assert ProposalSettings().parameters() == dict(
        producer='numba',
        scale=300,
        sigma=0.9,
        min_size=100,
        exif=True,
        min_side=32,
        max_aspect=3,
        size=[0.3, 0.8],
    )


def test_settings_at_the_end_of_their_range_are_taken():
    settings = ProposalSettings(scale=0.1, sigma=0, min_size=1)
    assert (settings.scale, settings.sigma, settings.min_size) == (0.1, 0, 1)
    for wrong in (dict(scale=0), dict(sigma=-0.1), dict(min_size=0)):
        with pytest.raises(ValueError, match='scale must be positive'):
            ProposalSettings(**wrong)


def test_pictures_too_small_for_any_proposal_are_not_searched(monkeypatch):
    monkeypatch.setattr(ProposalSettings, 'search', lambda *_: pytest.fail('searched'))
    boxes, rule = ProposalSettings().propose(np.zeros((1, 200, 3), np.uint8))
    assert boxes.shape == (0, 4)
    assert rule is Rule.WHOLE_IMAGE


def test_opencv_without_contrib_is_named(monkeypatch):
    monkeypatch.delattr(cv2, 'ximgproc', raising=False)
    with pytest.raises(ModuleNotFoundError, match='needs OpenCV with its contrib modules'):
        ProposalSettings(producer='opencv')


def test_opencv_gets_the_settings_and_its_boxes_the_convention_of_the_file(monkeypatch):
    told = {}

    class Search:
        def setBaseImage(self, image):  # noqa: N802
            told['base'] = image

        def addImage(self, image):  # noqa: N802
            told['image'] = image

        def addGraphSegmentation(self, segmentation):  # noqa: N802
            told['segmentation'] = segmentation

        def addStrategy(self, strategy):  # noqa: N802
            told['strategy'] = strategy

        def process(self):
            return np.array([[0, 0, 128, 96]], np.int32)  # OpenCV: w = number of columns

    strategy = 'createSelectiveSearchSegmentationStrategy'
    module = SimpleNamespace(
        createSelectiveSearchSegmentation=Search,
        createGraphSegmentation=lambda *numbers: numbers,
        **{f'{strategy}Multiple': lambda *parts: set(parts)},
        **{f'{strategy}{kind}': kind.lower for kind in ('Color', 'Texture', 'Size', 'Fill')},
    )
    monkeypatch.setattr(cv2, 'ximgproc', SimpleNamespace(segmentation=module), raising=False)
    settings = ProposalSettings(producer='opencv', scale=200, sigma=0.5, min_size=20)
    assert settings.search(photo(0)).tolist() == [[0, 0, 127, 95]]
    assert settings.versions() == {'opencv': cv2.__version__}
    assert told['base'] is told['image']
    assert np.array_equal(told['image'], photo(0))
    assert told['segmentation'] == (0.5, 200.0, 20)
    assert told['strategy'] == {'color', 'texture', 'size', 'fill'}


@pytest.mark.skipif(not hasattr(cv2, 'ximgproc'), reason='OpenCV has no contrib modules')
def test_proposals_of_opencv_are_near_ours():
    """The same search with other segments and histograms: half of the boxes are found again."""
    near = []
    for index in range(4):
        (ours, rule), (theirs, their_rule) = (
            ProposalSettings(producer=producer).propose(photo(index))
            for producer in ('numba', 'opencv')
        )
        assert their_rule is rule is Rule.FULL
        corners = [
            torch.tensor(np.hstack([b[:, :2], b[:, :2] + b[:, 2:] + 1])) for b in (ours, theirs)
        ]
        near.append((box_iou(*corners).amax(1) > 0.7).float().mean())
    assert torch.stack(near).mean() > 0.4


@pytest.mark.skipif(not hasattr(cv2, 'ximgproc'), reason='OpenCV has no contrib modules')
def test_opencv_keeps_larger_segments_with_a_larger_min_size():
    few, many = (
        ProposalSettings(producer='opencv', min_size=size).search(photo(0)) for size in (400, 50)
    )
    assert len(few) < len(many)


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(producer='matlab'), "must be 'numba' or 'opencv', got 'matlab'"),
        (dict(scale=0), 'scale must be positive'),
    ],
)
def test_settings_that_make_no_sense_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        ProposalSettings(**settings)
