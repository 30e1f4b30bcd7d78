"""The page on cards: its commands run as they are printed, at a small scale."""

import json
import re
import shlex
import subprocess
import sys

import pytest

from mmdssl.engine.card.measures import GROUPS
from tests.cli.test_card import content, row
from tests.conftest import ROOT
from tests.docs.page import commands, load, options_of

TEXT = load('cards.md')
SMALL = {
    'scenes data/scenes --images 600': ('scenes data/scenes --images 30', 1),
    '--num 100': ('--num 6 --size 64 --bootstrap 20 --workers 0', 2),
}


def small():
    text = '\n'.join(commands(TEXT))
    for long, (short, count) in SMALL.items():
        assert text.count(long) == count
        text = text.replace(long, short)
    return text


def test_every_command_has_these_options_and_every_file_is_there():
    for line in commands(TEXT):
        words = shlex.split(line)
        if words[0] == 'mmdssl':
            assert {word for word in words if word.startswith('--')} <= options_of(words)
    for option in re.findall(r'`(--[a-z-]+)', TEXT):
        assert option in options_of(['mmdssl', 'card']), option
    for name in re.findall(r'configs/[\w/.-]+\.py', TEXT):
        assert (ROOT / name).is_file(), name
    for name in re.findall(r'`mmdssl\.([\w.]+)`', TEXT):
        module, _, function = name.rpartition('.')
        source = (ROOT / 'mmdssl' / f'{module.replace(".", "/")}.py').read_text()
        assert f'def {function}(' in source


def test_every_group_of_measures_is_explained():
    named = re.findall(r'^\| (`[a-z`, ]+`) \|', TEXT.partition('## What is measured')[2], re.M)
    assert re.findall(r'`(\w+)`', ' '.join(named)) == [
        'objects', 'inter', 'intra', 'background', 'position', 'consistency', 'speed',
    ]  # fmt: skip
    assert set(re.findall(r'`(\w+)`', ' '.join(named))) == set(GROUPS)


@pytest.mark.slow
def test_all_commands_of_the_page_run_in_order(tmp_path):
    script = 'set -e\n' + small().replace('mmdssl ', f'{sys.executable} -m mmdssl ')
    run = subprocess.run(
        ['bash', '-c', script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, (run.stdout + run.stderr)[-3000:]
    assert run.stdout.count('done before') >= 2 * (len(GROUPS) - 1)
    out = tmp_path / 'work_dirs' / 'card'
    page = (out / 'card.html').read_text()
    for name in ('mnv2', 'torchvision-resnet18-untrained', 'torchvision-mobilenet_v2-untrained'):
        assert f'<th scope="col">{name}</th>' in page
        assert row(content(out, name), 'O-KNN, top-1')['n'] > 0
    assert json.loads((out / 'data' / 'chosen.json').read_text())['outlines']
