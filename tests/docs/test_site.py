"""The site builds without a warning, and what its pages tell a reader to save works."""

import re
import shlex
import subprocess
import sys

import pytest
import torch
from mmengine.evaluator import Evaluator
from mmengine.registry import DefaultScope
from mmengine.structures import BaseDataElement, InstanceData

from mmdssl.engine.config import load_config
from tests.conftest import ROOT
from tests.docs.page import commands, files, load, options_of, write_folder

DOCS = ROOT / 'docs'
PAGES = sorted(str(page.relative_to(DOCS)) for page in DOCS.rglob('*.md'))


def test_it_builds_without_a_warning(tmp_path):
    pytest.importorskip('furo', reason='the site needs the extra docs')
    words = [sys.executable, '-m', 'sphinx', '-W', '--keep-going', '-q', '-b', 'html']
    run = subprocess.run(
        [*words, '-d', str(tmp_path / 'read'), str(DOCS), str(tmp_path / 'site')],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-4000:]
    for page in PAGES:
        assert (tmp_path / 'site' / page).with_suffix('.html').is_file(), page
    text = (tmp_path / 'site' / 'reference' / 'commands.html').read_text()
    assert 'resume the run in out' in text  # the help of pretrain
    assert 'DecouplingBranch' in (tmp_path / 'site' / 'reference' / 'api.html').read_text()
    text = (tmp_path / 'site' / 'evaluate.html').read_text()
    assert 'objects of the training images' in text  # a section of README
    assert 'In-context segmentation' in text  # and what the page says itself
    assert 'href="pretrain.html#pre-train-on-your-own-images"' in text
    text = (tmp_path / 'site' / 'pretrain.html').read_text()
    assert 'href="#methods"' in text  # where the command for proposals stands
    assert '<section id="methods">' in text
    text = (tmp_path / 'site' / 'index.html').read_text()
    assert re.search(r'download[^>]*href="(_downloads/\w+/notebook\.ipynb)"', text)
    # Code in a docstring.
    text = (tmp_path / 'site' / 'reference' / 'api.html').read_text()
    assert re.search(r'<pre>(<span></span>)?<span class="n">backbone</span>', text)


@pytest.mark.parametrize('page', PAGES)
def test_commands_are_of_tools_that_have_these_options(page):
    for line in commands(load(page)):
        words = shlex.split(line)
        if words[0] == 'mmdssl':
            given = {word for word in words if word.startswith('--')}
            assert given <= options_of(words), line


def test_every_page_is_in_the_contents():
    listed = re.findall(r'^([\w/]+)$', (DOCS / 'index.md').read_text(), re.M)
    assert sorted(f'{name}.md' for name in listed) == [page for page in PAGES if page != 'index.md']


def test_the_metric_of_the_page_measures(tmp_path, monkeypatch):
    text = load('own_metric.md')
    assert set(files(text)) == {'my/spread.py', 'my/measured.py'}
    monkeypatch.chdir(write_folder(tmp_path, text))
    monkeypatch.syspath_prepend(str(tmp_path))
    config = load_config('my/measured.py')
    __import__('my.spread')
    with DefaultScope.overwrite_default_scope('mmdssl'):
        metrics = Evaluator([dict(metric) for metric in config.object_knn_evaluator])
    metrics.dataset_meta = dict(classes=('a', 'b'))
    corners = torch.eye(4)
    for tag in ('bank', 'query'):
        sample = BaseDataElement(
            tag=tag,
            object_features=corners,
            gt_instances=InstanceData(labels=torch.tensor([0, 1, 0, 1])),
        )
        metrics.process([sample], None)
    found = metrics.evaluate(2)
    assert found['oknn/top1'] == 100
    # Four orthogonal vectors of length 1: the mean has length 1/2, each is sqrt(3)/2 away.
    assert found['spread'] == pytest.approx(3**0.5 / 2, abs=1e-6)
