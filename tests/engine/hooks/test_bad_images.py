"""Bad images of a real run appear in its log, in the work folder, and end nothing."""

import logging
import os

import pytest
import torch
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from torch.utils.data import ConcatDataset, Subset

from mmdssl.datasets import ImageFolder
from mmdssl.engine.hooks.bad_images import BadImagesHook
from tests.datasets.image_files import picture, save


class Model(torch.nn.Module):
    """The least that a runner trains."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(()))

    def train_step(self, data, optim_wrapper):
        return {'loss': self.weight}


def make_folder(root, broken):
    root.mkdir()
    for number in range(12):
        data = b'' if number in broken else save(picture(), 'JPEG')
        (root / f'{number:02d}.jpg').write_bytes(data)
    return root


def load_only(results):
    return torch.zeros(1)


@pytest.fixture
def train(tmp_path, monkeypatch, caplog):
    """A function that trains one epoch on a folder and returns its log's warnings."""
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))

    def run(root, wrap=lambda dataset: dataset, **options):
        dataset = ImageFolder(data_root=root, pipeline=[dict(type='LoadImage'), load_only])
        loader = torch.utils.data.DataLoader(wrap(dataset), batch_size=3, num_workers=2)
        hook = BadImagesHook(**options)
        with DefaultScope.overwrite_default_scope('mmdssl'):
            runner = Runner(
                model=Model(),
                work_dir=str(tmp_path / 'work'),
                train_dataloader=loader,
                train_cfg=dict(by_epoch=True, max_epochs=2),
                optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
                custom_hooks=[hook],
                default_hooks=dict(checkpoint=None, logger=None),
                experiment_name=tmp_path.name,
            )
            messages = []
            handler = logging.Handler()
            handler.emit = lambda entry: messages.append((entry.levelname, entry.getMessage()))
            runner.logger.addHandler(handler)
            runner.train()
        return [text for level, text in messages if level == 'WARNING']

    return run


@pytest.mark.filterwarnings('ignore:.*cannot be read')
@pytest.mark.parametrize(
    'wrap',
    [
        lambda dataset: dataset,
        lambda dataset: Subset(dataset, range(len(dataset))),
        lambda dataset: ConcatDataset([dataset]),
    ],
    ids=['plain', 'subset', 'concatenation'],
)
def test_bad_images_are_logged_once_and_listed(train, tmp_path, wrap):
    root = make_folder(tmp_path / 'images', broken={1, 5, 8})
    warnings = train(root, wrap, show=2)
    named = [text for text in warnings if text.startswith('unreadable image')]
    assert len(named) == 2
    assert '... and 1 more unreadable images' in warnings
    assert warnings[-1].startswith('3 images could not be read')
    lines = (tmp_path / 'work' / 'bad_images.txt').read_text().splitlines()
    assert sorted(lines) == [f'{root}/{n:02d}.jpg\tthe file is empty' for n in (1, 5, 8)]


def test_a_clean_run_leaves_no_trace(train, tmp_path):
    warnings = train(make_folder(tmp_path / 'images', broken=()))
    assert not [text for text in warnings if 'image' in text]
    assert not (tmp_path / 'work' / 'bad_images.txt').exists()


def test_interval_must_make_sense():
    with pytest.raises(ValueError, match='interval must be at least 1, got 0'):
        BadImagesHook(interval=0)


def test_a_name_that_is_no_utf_8_is_listed_as_it_is(train, tmp_path):
    root = make_folder(tmp_path / 'images', [])
    (root / os.fsdecode(b'caf\xe9.jpg')).write_bytes(b'')
    train(root)
    listed = (tmp_path / 'work/bad_images.txt').read_bytes()
    assert b'caf\xe9.jpg\t' in listed
