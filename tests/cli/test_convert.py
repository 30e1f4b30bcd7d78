"""A checkpoint under official names becomes one that our model loads whole."""

import argparse
import re
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from mmdssl.cli import convert
from mmdssl.conversion.formats import FORMATS
from tests.conversion.nets import checkpoint, dinov3, resnet
from tests.models.tiny import tiny_batch, tiny_ibot


def test_the_help_names_every_format():
    assert set(convert.ORIGINS) == set(FORMATS)
    assert set(convert.TARGETS) == {
        name for name, form in FORMATS.items() if form.prefix is not None
    }


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


def test_import_is_complete_and_gives_the_same_losses(official, tmp_path, capsys):
    path, model = official
    out = tmp_path / 'ours.pth'
    assert convert.main(['import', str(path), '--out', str(out), '--from', 'ibot']) == 0
    assert 'teacher.backbone' in capsys.readouterr().out
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


@pytest.fixture
def run(tmp_path):
    return checkpoint(tmp_path / 'epoch_3.pth', resnet(18), resnet(18))


def test_export_reports_and_writes_beside_the_checkpoint(run, capsys):
    assert convert.main(['export', str(run), '--to', 'torchvision']) == 0
    text = capsys.readouterr().out
    assert 'ResNet of 2+2+2+2 basic blocks' in text
    assert '100.0%' in text
    file = run.with_name('epoch_3_auto-torchvision.pth')
    assert 'layer4.1.conv2.weight' in torch.load(file, weights_only=True)['state_dict']


def test_import_tells_the_kind_of_file_and_says_what_it_has_to(tmp_path, capsys):
    run = checkpoint(tmp_path / 'run.pth', dinov3(), dinov3())
    assert convert.main(['export', str(run), '--to', 'dinov3']) == 0
    theirs = tmp_path / 'run_auto-dinov3.pth'
    assert convert.main(['import', str(theirs)]) == 0
    assert 'licence: DINOv3 License' in capsys.readouterr().out
    ours = tmp_path / 'run_auto-dinov3_imported.pth'
    assert convert.main(['export', str(ours), '--to', 'hf']) == 0
    assert 'licence: DINOv3 License' in capsys.readouterr().out
    with safe_open(ours.with_name(f'{ours.stem}_auto-hf.safetensors'), 'pt') as file:
        assert file.metadata()['format'] == 'pt'  # or transformers refuses it
        assert 'DINOv3' in file.metadata()['licence']
    torch.save({'encoder.h.0.w': torch.ones(2)}, tmp_path / 'x.pth')
    assert convert.main(['import', str(tmp_path / 'x.pth')]) == 2
    error = capsys.readouterr().err
    assert error.count('\n') == 1
    assert 'of no scheme that is known here' in error


def test_import_of_safetensors_and_publish(run, capsys):
    timm = run.with_name('timm.safetensors')
    assert convert.main(['export', str(run), '--to', 'timm', '--out', str(timm)]) == 0
    assert convert.main(['import', str(timm), '--from', 'timm']) == 0
    assert run.with_name('timm_from-timm.pth').is_file()
    assert convert.main(['publish', str(run), str(run.parent / 'public')]) == 0
    assert len(list(run.parent.glob('public/epoch_3-????????.pth'))) == 1


def test_short_coverage_writes_nothing_unless_allowed(run, capsys):
    content = torch.load(run, weights_only=True)
    del content['state_dict']['backbone.layer4.1.conv2.weight']
    torch.save(content, run)
    out = run.with_name('x.pth')
    command = ['export', str(run), '--to', 'mmdet', '--out', str(out)]
    assert convert.main(command) == 1
    error = capsys.readouterr().err
    assert 'covers too little' in error
    assert 'layer4.1.conv2.weight' in error
    assert not out.exists()
    assert convert.main([*command, '--min-coverage', '0.5']) == 0
    assert out.exists()


def bare_token(folder: Path) -> Path:
    torch.save({'cls_token': torch.zeros(1)}, folder / 'x.pth')
    return folder / 'x.pth'


def text(folder: Path) -> Path:
    (folder / 'x.pth').write_text('not a checkpoint')
    return folder / 'x.pth'


def untrusted(folder: Path) -> Path:
    torch.save(dict(state_dict={}, hook=Path('x')), folder / 'x.pth')
    return folder / 'x.pth'


def no_file(folder: Path) -> Path:
    return folder / 'absent.pth'


@pytest.mark.parametrize(
    ('make', 'words'),
    [
        (no_file, 'no checkpoint at'),
        (text, 'is no checkpoint: it is a text file'),
        (untrusted, 'more than plain data'),
        (bare_token, 'not a file of ibot'),
    ],
)
def test_unusable_files_are_one_sentence(tmp_path, capsys, make, words):
    out = tmp_path / 'out.pth'
    file = str(make(tmp_path))
    assert convert.main(['import', file, '--from', 'ibot', '--out', str(out)]) == 2
    error = capsys.readouterr().err
    assert error.startswith('error: ')
    assert error.count('\n') == 1
    assert re.search(words, error)
    assert not out.exists()


def test_student_that_is_not_there_and_unknown_ending(tmp_path, capsys):
    torch.save(
        dict(state_dict={'teacher.backbone.conv1.weight': torch.ones(1)}), tmp_path / 'x.pth'
    )
    command = ['export', str(tmp_path / 'x.pth'), '--to', 'timm']
    assert convert.main([*command, '--source', 'student']) == 2
    assert 'has no student backbone' in capsys.readouterr().err
    assert convert.main([*command, '--out', str(tmp_path / 'x.onnx')]) == 2
    assert 'cannot tell the format' in capsys.readouterr().err
