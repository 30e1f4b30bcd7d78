"""Data configs with proposals refuse a file that was made with other settings than SoCo's."""

from pathlib import Path

import pytest
from mmengine.config import Config

from mmdssl.datasets.proposals.making import make_proposals
from mmdssl.datasets.proposals.producers import ProposalSettings
from mmdssl.registry import TRANSFORMS
from tests.datasets.proposals.photos import folder_of_photos

FOLDER = Path(__file__).parents[2] / 'configs/_base_/datasets'
FILES = sorted(path for path in FOLDER.glob('*.py') if '_base_.load' in path.read_text())


def loader(file: Path) -> dict:
    config = Config.fromfile(file)
    (step,) = (s for s in config.load if s['type'] == 'LoadProposals')
    return step


def test_all_six_are_seen():
    assert len(FILES) == 6


@pytest.mark.parametrize('file', FILES, ids=lambda path: path.stem)
def test_they_ask_for_the_defaults_of_the_search(file, tmp_path):
    own = ProposalSettings().parameters()
    asked = {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in loader(file)['expect'].items()
    }
    assert asked == {key: own[key] for key in own if key not in ('producer', 'exif')}


def test_a_file_made_with_other_settings_is_refused(tmp_path):
    pytest.importorskip('numba')
    images = folder_of_photos(tmp_path / 'images', 1)
    path = tmp_path / 'p.npz'
    make_proposals(images, path, ProposalSettings(scale=100), progress=False)
    step = {**loader(FILES[0]), 'file': path}
    with pytest.raises(ValueError, match=r'made with scale=100, not 300: .*make this one anew'):
        TRANSFORMS.build(step)
    TRANSFORMS.build({**step, 'expect': None})
