"""The pictures of README and pages: each is small, shown, and beside the command that draws it."""

import re

import pytest
from PIL import Image

from tests.conftest import ROOT
from tests.docs.page import options_of

FOLDER = ROOT / 'docs/pictures'
#: By picture: where it is shown, and the command that drew it.
MADE = {
    'x_d': ('README.md', 'mmdssl browse'),
    'demo_curves': ('docs/index.md', 'mmdssl demo'),
    'affinity': ('docs/evaluate.md', 'mmdssl analyze affinity'),
    'rcc_steps': ('docs/evaluate.md', 'mmdssl analyze masks'),
    'mask_kinds': ('docs/evaluate.md', 'mmdssl analyze masks'),
    'grid_numbers': ('docs/evaluate.md', 'mmdssl analyze masks'),
    'card': ('docs/cards.md', 'mmdssl card'),
}


def test_every_picture_is_known():
    assert {path.name for path in FOLDER.iterdir()} == {f'{name}.png' for name in MADE}


@pytest.mark.parametrize('name', MADE)
def test_it_is_shown_with_words_beside_the_command_that_draws_it(name):
    page, command = MADE[name]
    text = (ROOT / page).read_text()
    (words,) = re.findall(rf'!\[([^\]]+)\]\([\w/]*pictures/{name}\.png\)', text)
    assert len(words.split()) >= 5  # what a reader who cannot see it is told
    (section,) = (one for one in re.split(r'^## ', text, flags=re.M) if f'/{name}.png' in one)
    lines = re.findall(rf'{command}\b[^`#\n]*(?:\\?\n[^`\n]*)*', section)
    assert lines, f'{command} does not stand in the section'
    given = {option for line in lines for option in re.findall(r'--[a-z-]+', line)}
    assert given <= options_of([*command.split()]), given


@pytest.mark.parametrize('name', MADE)
def test_it_is_small_and_wide_enough_to_be_read(name):
    file = FOLDER / f'{name}.png'
    assert file.stat().st_size < 160_000
    with Image.open(file) as picture:
        assert 700 <= picture.width <= 1100
