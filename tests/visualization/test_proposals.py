import numpy as np
import pytest
from PIL import Image

from mmdssl.datasets.proposals.filters import ProposalFilter, Rule
from mmdssl.datasets.proposals.producers import ProposalSettings
from mmdssl.visualization.proposals import draw_proposals, search_image
from tests.datasets.proposals.photos import photo

pytest.importorskip('numba')


def test_sheet_shows_found_and_filtered_boxes(tmp_path):
    searched = search_image(photo(0), label='a')
    assert searched.rule is Rule.FULL
    assert 0 < len(searched.proposals) < len(searched.found)
    assert len(np.unique(searched.proposals, axis=0)) == len(searched.proposals)
    strict = ProposalSettings(filter=ProposalFilter(min_side=96))
    whole = search_image(photo(1), strict)
    assert whole.proposals.tolist() == [[0, 0, 128, 96]]
    path = draw_proposals([searched, whole], tmp_path / 'sheet.png')
    pixels = np.asarray(Image.open(path).convert('RGB'))
    assert pixels.shape[1] > pixels.shape[0]
    assert pixels.std() > 10
