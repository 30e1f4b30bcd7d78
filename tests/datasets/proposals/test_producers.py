from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from mmdssl.datasets.proposals.filters import Rule
from mmdssl.datasets.proposals.producers import ProposalSettings
from tests.datasets.proposals.photos import photo


def test_parameters_name_every_number_of_search_and_filter():
    assert ProposalSettings().parameters() == dict(
        producer='skimage',
        scale=300,
        sigma=0.9,
        min_size=100,
        exif=True,
        min_side=32,
        max_aspect=3,
        size=[0.3, 0.8],
    )


def test_pictures_too_small_for_any_proposal_are_not_searched(monkeypatch):
    monkeypatch.setattr(ProposalSettings, 'search', lambda *_: pytest.fail('searched'))
    boxes, rule = ProposalSettings().propose(np.zeros((1, 200, 3), np.uint8))
    assert boxes.shape == (0, 4)
    assert rule is Rule.WHOLE_IMAGE


def test_opencv_without_contrib_is_named(monkeypatch):
    monkeypatch.delattr(cv2, 'ximgproc', raising=False)
    with pytest.raises(ModuleNotFoundError, match='needs OpenCV with its contrib modules'):
        ProposalSettings(producer='opencv')


def test_opencv_boxes_get_the_convention_of_the_file(monkeypatch):
    class Search:
        def setBaseImage(self, image):  # noqa: N802
            assert image[0, 0].tolist() == photo(0)[0, 0, ::-1].tolist()  # BGR

        def switchToSingleStrategy(self, scale, sigma):  # noqa: N802
            assert (scale, sigma) == (300, 0.9)

        def process(self):
            return np.array([[0, 0, 128, 96]], np.int32)  # OpenCV: w = number of columns

    module = SimpleNamespace(createSelectiveSearchSegmentation=Search)
    monkeypatch.setattr(cv2, 'ximgproc', SimpleNamespace(segmentation=module), raising=False)
    settings = ProposalSettings(producer='opencv')
    assert settings.search(photo(0)).tolist() == [[0, 0, 127, 95]]
    assert settings.versions() == {'opencv': cv2.__version__}


@pytest.mark.skipif(not hasattr(cv2, 'ximgproc'), reason='OpenCV has no contrib modules')
def test_opencv_finds_boxes():
    boxes, rule = ProposalSettings(producer='opencv').propose(photo(0))
    assert rule is Rule.FULL
    assert len(boxes)


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(producer='matlab'), "must be 'skimage' or 'opencv', got 'matlab'"),
        (dict(scale=0), 'scale must be positive'),
        (dict(producer='opencv', min_size=20), 'min_size=100 built in, got 20'),
    ],
)
def test_settings_that_make_no_sense_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        ProposalSettings(**settings)
