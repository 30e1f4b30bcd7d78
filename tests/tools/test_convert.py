"""A checkpoint under official names becomes one that our model loads whole."""

import argparse
import importlib.util
from pathlib import Path

import pytest
import torch

from tests.models.tiny import tiny_batch, tiny_ibot

TOOL = Path(__file__).parents[2] / 'tools' / 'convert.py'


@pytest.fixture(scope='module')
def convert():
    spec = importlib.util.spec_from_file_location('convert', TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def official_names(state: dict) -> dict:
    """Our names to the official ones, written out by hand for the tiny model."""
    pairs = [
        ('patch_embed.projection', 'patch_embed.proj'),
        ('.ln1.', '.norm1.'),
        ('.ln2.', '.norm2.'),
        ('layers.0.', 'blocks.0.'),
        ('layers.1.', 'blocks.1.'),
        ('ffn.blocks.0.0', 'mlp.fc1'),
        ('ffn.blocks.1', 'mlp.fc2'),
        ('ffn.layers.1', 'mlp.fc2'),
        ('backbone.norm1.', 'backbone.norm.'),
        ('mask_token', 'masked_embed'),
        ('last_layer.parametrizations.weight.original0', 'last_layer.weight_g'),
        ('last_layer.parametrizations.weight.original1', 'last_layer.weight_v'),
    ]
    renamed = {}
    for name, value in state.items():
        for ours, theirs in pairs:
            name = name.replace(ours, theirs)
        renamed[name] = value[0] if name.endswith('masked_embed') else value
    for part in ('weight_g', 'weight_v'):  # the official file repeats a shared layer
        renamed[f'head.last_layer2.{part}'] = renamed[f'head.last_layer.{part}']
    return renamed


@pytest.fixture
def official(tmp_path):
    model = tiny_ibot()
    model.loss(tiny_batch())  # centres away from zero
    state = model.state_dict()
    student = {k: v for k, v in state.items() if k.startswith(('backbone.', 'head.'))}
    teacher = {k[8:]: v for k, v in state.items() if k.startswith('teacher.')}
    content = dict(
        student={f'module.{k}': v for k, v in official_names(student).items()},
        teacher=official_names(teacher),
        ibot_loss=dict(center=model.criterion.center, center2=model.criterion.patch_center[None]),
        epoch=7,
        args=argparse.Namespace(arch='vit_small'),
    )
    path = tmp_path / 'official.pth'
    torch.save(content, path)
    return path, model


def test_import_is_complete_and_gives_the_same_losses(convert, official, tmp_path, capsys):
    path, model = official
    out = tmp_path / 'ours.pth'
    assert convert.main(['import', str(path), str(out), '--from', 'ibot']) == 0
    assert 'teacher.backbone: ' in capsys.readouterr().out
    state = torch.load(out, weights_only=True)['state_dict']
    fresh = tiny_ibot()
    with torch.no_grad():
        for parameter in fresh.parameters():
            parameter.add_(1.0)
    result = fresh.load_state_dict(state, strict=False)
    assert not result.unexpected_keys
    assert not [name for name in result.missing_keys if 'data_preprocessor' not in name]
    for name, value in model.state_dict().items():
        assert torch.equal(fresh.state_dict()[name], value), name
    expected = model.loss(tiny_batch())
    for name, loss in fresh.loss(tiny_batch()).items():
        assert torch.equal(loss, expected[name]), name


def test_other_files_are_refused_with_one_sentence(convert, tmp_path, capsys):
    path = tmp_path / 'backbone.pth'
    torch.save({'cls_token': torch.zeros(1)}, path)
    assert convert.main(['import', str(path), str(tmp_path / 'x.pth'), '--from', 'ibot']) == 2
    assert 'no student and no teacher' in capsys.readouterr().err
    assert not (tmp_path / 'x.pth').exists()
