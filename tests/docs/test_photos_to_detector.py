"""The page from photos to a detector: every command runs, in order, as it is printed."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.conftest import ROOT
from tests.docs.page import commands, files, load, options_of, small, write_folder

PAGE = 'photos_to_detector.md'


@pytest.fixture(scope='module')
def text() -> str:
    return load(PAGE)


def words_of(line: str) -> list[str]:
    return shlex.split(line)


def test_the_page_is_linked_and_its_links_lead_somewhere(text):
    assert f'docs/{PAGE}' in (ROOT / 'README.md').read_text()
    for target in re.findall(r'\]\(([^)#]+)\)', text):
        assert (ROOT / 'docs' / target).exists(), target
    for name in re.findall(r'(?:configs|tools|projects)/[\w/.-]+\.(?:py|sh)', text):
        assert (ROOT / name).is_file(), name


def test_every_command_is_of_a_tool_that_has_these_options(text):
    """What a tool does not know it does not say in its help, and shows here without a run."""
    known = {}
    for line in commands(text):
        words = words_of(line)
        if words[0] != 'mmdssl':
            assert re.match(r'[A-Z]+=', line), f'neither an assignment nor a command: {line}'
            continue
        name, *rest = words[1:]
        known[name] = options_of(words)
        given = {word for word in rest if word.startswith('--')}
        assert given <= known[name], f'{line}: {given - known[name]}'
    assert {'train', 'convert', 'test'} <= known.keys()


def test_the_changes_that_make_it_quick_fit_the_page(text):
    assert len(small(commands(text))) == len(commands(text))


def test_the_files_of_the_page_are_configs_of_what_they_say(text, tmp_path, monkeypatch):
    pytest.importorskip('mmcv._ext', reason='mmdet needs compiled ops')
    from mmdssl.engine.config import load_config

    assert set(files(text)) == {f'my/{n}.py' for n in ('watched', 'detector', 'ibot-d', 'cascade')}
    monkeypatch.chdir(write_folder(tmp_path, text))
    watched = load_config('my/watched.py', {'data_root': 'elsewhere'})
    assert watched.train_dataloader.dataset.data_root == 'elsewhere/'
    assert watched.object_knn_dataloader.dataset.data_root == 'data/scenes/'
    kinds = [hook.type for hook in watched.custom_hooks]
    assert {'RepresentationHealthHook', 'ObjectKNNHook', 'TeacherUpdateHook'} <= set(kinds)
    assert load_config('my/ibot-d.py').optim_wrapper.optimizer.lr == 0.0005
    for name, number, root in (('detector', 3, 'data/scenes/'), ('cascade', 2, 'data/labelled/')):
        config = load_config(f'my/{name}.py')
        heads = config.model.roi_head.bbox_head
        heads = heads if isinstance(heads, list) else [heads]
        heads += [config.model.roi_head[k] for k in ('mask_head',) if k in config.model.roi_head]
        assert [head.num_classes for head in heads] == [number] * (1 if number == 3 else 4)
        assert config.model.backbone.init_cfg.checkpoint == 'weights/my-vit_mmdet.pth'
        for split in ('train', 'val', 'test'):
            dataset = config[f'{split}_dataloader'].dataset
            assert len(dataset.metainfo.classes) == number
            part = 'train' if split == 'train' else 'val'
            assert dataset.data_root == root
            assert dataset.ann_file == f'annotations/instances_{part}.json'
            assert dataset.data_prefix.img == f'{part}/'
            if split != 'train':
                assert config[f'{split}_evaluator'].ann_file == root + dataset.ann_file
        moved = load_config(f'my/{name}.py', {'data_root': 'my/boxes'})
        assert moved.train_dataloader.dataset.data_root == 'my/boxes/'
        assert moved.val_evaluator.ann_file == 'my/boxes/annotations/instances_val.json'


@pytest.mark.slow
def test_all_commands_of_the_page_run_in_order(text, tmp_path):
    """python -m pytest -m slow tests/docs/test_photos_to_detector.py"""
    pytest.importorskip('mmcv._ext', reason='mmdet needs compiled ops')
    folder = write_folder(tmp_path, text)
    script = 'set -e\n' + '\n'.join(small(commands(text)))
    run = subprocess.run(
        ['bash', '-c', script],
        cwd=folder,
        env={
            **os.environ,
            'PATH': f'{Path(sys.executable).parent}:{os.environ["PATH"]}',
            'OMP_NUM_THREADS': '1',
        },
        capture_output=True,
        text=True,
        check=False,
    )
    output = run.stdout + run.stderr
    assert run.returncode == 0, output[-4000:]
    assert re.search(r'Loaded 52/52 tensors of TapViT from weights/my-vit_mmdet.pth', output)
    work = folder / 'work_dirs'
    rehearsal = work / 'ibot-d_vit-micro-p16_1xb24-250i_photos'
    made = [
        rehearsal / 'browse/batch_000.png',
        rehearsal / 'browse/xd_000.png',
        rehearsal / 'dry_run/batch.png',
        work / 'rehearsal/iter_3.pth',
        work / 'look/affinity.png',
        work / 'look/object_knn.csv',
        work / 'detector/dry_run/batch.png',
        work / 'detector/iter_2.pth',
        work / 'scratch/iter_2.pth',
    ]
    assert [path for path in made if not path.is_file()] == []
    assert len(list((work / 'detections').glob('*.jpg'))) == 6  # photos of val/
    # The detector started from the teacher of the pre-training run, and not from random weights.
    exported = torch.load(folder / 'weights/my-vit_mmdet.pth', weights_only=True)['state_dict']
    source = torch.load(work / 'rehearsal/iter_3.pth', weights_only=True)['state_dict']
    tuned = torch.load(work / 'detector/iter_2.pth', weights_only=True)['state_dict']
    chance = torch.load(work / 'scratch/iter_2.pth', weights_only=True)['state_dict']
    name = 'backbone.layers.0.attn.qkv.weight'
    assert torch.equal(exported[name], source[f'teacher.{name}'])
    assert (tuned[name] - exported[name]).abs().mean() < 0.01 * exported[name].abs().mean()
    assert (chance[name] - exported[name]).abs().mean() > 0.1 * exported[name].abs().mean()
