"""``mmdssl test``: which backbone it takes out of a config and a checkpoint, and what it prints."""

import json
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from mmdssl.cli import test as tool
from mmdssl.engine.config import load_config
from mmdssl.engine.extractor import build_extractor
from mmdssl.evaluation.extractors.feature_extractor import FeatureExtractor
from mmdssl.registry import MODELS
from tests.coco_files import knn_loader, write_coco
from tests.reference import ROOT

VIT = dict(
    type='DenseViT',
    arch=dict(embed_dims=24, num_layers=1, num_heads=2, feedforward_channels=48),
    img_size=32,
    patch_size=8,
)
EXTRACTOR = dict(type='FeatureExtractor', backbone=VIT)
HEAD = dict(
    type='IBOTHead', in_channels=24, hidden_channels=16, bottleneck_channels=8, out_channels=32
)
HOST = dict(type='IBOT', backbone=VIT, head=HEAD)


@pytest.fixture
def write(tmp_path: Path):
    """Writes a config of the given model over a small data set."""
    write_coco(tmp_path / 'data', 'train', 6, seed=0)
    write_coco(tmp_path / 'data', 'val', 4, seed=1)

    def write_config(model: dict, **changes) -> str:
        evaluator = [
            dict(type='ObjectKNN', k=5),
            dict(type='ObjectKNN', k=5, query='query_disturbed', prefix='other'),
        ]
        entries = dict(
            default_scope='mmdssl',
            data_root=str(tmp_path / 'data'),
            model=model,
            object_knn_dataloader=knn_loader(tmp_path / 'data'),
            object_knn_evaluator=evaluator,
            train_dataloader=dict(dataset=dict(type='NoSuchDataset')),
            custom_hooks=[dict(type='NoSuchHook')],
        )
        file = tmp_path / 'config.py'
        file.write_text('\n'.join(f'{k} = {v!r}' for k, v in (entries | changes).items()))
        return str(file)

    return write_config


def run(tmp_path: Path, *arguments: str) -> dict:
    out = tmp_path / 'out' / 'metrics.json'
    arguments = (*arguments, '--work-dir', str(tmp_path / 'work'), '--out', str(out))
    assert tool.main(list(arguments)) == 0
    return json.loads(out.read_text())


def test_it_runs_alone_and_prints_a_table(tmp_path: Path, write, capsys):
    found = run(tmp_path, write(EXTRACTOR))
    assert set(found) == {
        f'{row}/{column}'
        for row in ('oknn', 'other')
        for column in ('top1', 'top5', 'num_bank', 'num_query')
    }
    printed = capsys.readouterr().out
    assert 'untrained' in printed
    assert f'{found["other/top1"]:.2f}' in printed


def test_a_pretraining_config_is_measured_by_its_teacher(tmp_path: Path, write):
    torch.manual_seed(1)
    host = MODELS.build(HOST)
    for parameter in host.teacher.backbone.parameters():
        parameter.data.add_(torch.randn_like(parameter) * 0.1)
    torch.save(dict(state_dict=host.state_dict()), tmp_path / 'run.pth')
    for source, backbone in (('auto', host.teacher.backbone), ('student', host.backbone)):
        config = tool.evaluation_config(load_config(write(HOST)))
        extractor = build_extractor(config, tmp_path / 'run.pth', source)
        assert isinstance(extractor, FeatureExtractor)
        images = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
        extractor.eval(), backbone.eval()
        normalised = host.data_preprocessor(dict(inputs=images))['inputs']
        torch.testing.assert_close(
            extractor(extractor.data_preprocessor(dict(inputs=images))['inputs'], mode='tensor'),
            backbone(normalised)[-1],
        )
    run(tmp_path, write(HOST), str(tmp_path / 'run.pth'))


def test_the_runs_own_normalisation_is_used(write):
    host = HOST | dict(data_preprocessor=dict(type='MultiViewPreprocessor', mean=[0, 0, 0]))
    extractor = build_extractor(tool.evaluation_config(load_config(write(host))), None)
    white = torch.full((1, 3, 1, 1), 58.395)
    red = extractor.data_preprocessor(dict(inputs=white.byte()))['inputs'][0, 0]
    assert red.item() == pytest.approx(58 / 58.395, abs=1e-4)


def test_untrained_backbones_of_a_seed_are_equal(tmp_path: Path, write):
    config = write(EXTRACTOR, randomness=dict(seed=4))
    assert run(tmp_path, config) == run(tmp_path, config)


def test_options_change_the_config(tmp_path: Path, write):
    write_coco(tmp_path / 'more', 'train', 9, seed=0)
    write_coco(tmp_path / 'more', 'val', 5, seed=1)
    before = run(tmp_path, write(EXTRACTOR))
    after = run(tmp_path, write(EXTRACTOR), '--cfg-options', f'data_root={tmp_path / "more"}')
    assert after['oknn/num_bank'] > before['oknn/num_bank']


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(object_knn_evaluator=None), 'neither test_evaluator nor object_knn_evaluator'),
        (dict(object_knn_dataloader=None), 'neither test_dataloader nor object_knn_dataloader'),
        (dict(model=dict(type='IBOT')), 'no model with a backbone'),
    ],
)
def test_an_incomplete_config_is_named(write, capsys, changes: dict, message: str):
    config = write(**(dict(model=EXTRACTOR) | changes))
    assert tool.main([config]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1


def test_missing_annotations_are_one_sentence(tmp_path: Path, write, capsys):
    config = write(EXTRACTOR)
    for path in tmp_path.rglob('*val*.json'):
        path.unlink()
    assert tool.main([config, '--work-dir', str(tmp_path / 'work')]) == 2
    error = capsys.readouterr().err
    assert 'val' in error
    assert len([line for line in error.splitlines() if line.startswith('error: ')]) == 1
    assert 'Traceback' not in error


def test_a_foreign_checkpoint_is_named(tmp_path: Path, write, capsys):
    torch.save(dict(state_dict={'backbone.conv.weight': torch.zeros(2)}), tmp_path / 'a.pth')
    assert tool.main([write(EXTRACTOR), str(tmp_path / 'a.pth')]) == 2
    assert 'covers too little of DenseViT' in capsys.readouterr().err
    assert tool.main([write(EXTRACTOR), str(tmp_path / 'no.pth')]) == 2
    assert 'no checkpoint at' in capsys.readouterr().err


def test_table_is_cut_nowhere_on_eighty_columns():
    import io

    from rich.console import Console

    found = {f'coco/bbox_mAP{end}': 0.5 for end in ('', '_50', '_75', '_s', '_m', '_l')}
    for metrics in (found, {'oknn/top1': 31.2, 'oknn/top5': 92.4}):
        text = io.StringIO()
        Console(file=text, width=80).print(tool.as_table(metrics, 'a'))
        for name in metrics:
            assert name.rpartition('/')[2] in text.getvalue()
        assert '…' not in text.getvalue()


def test_labelled_data_may_lie_elsewhere(tmp_path: Path, write, capsys):
    """A run on photos is measured on boxes of another folder; its own paths stay as they are."""
    write_coco(tmp_path / 'more', 'train', 9, seed=0)
    write_coco(tmp_path / 'more', 'val', 5, seed=1)
    before = run(tmp_path, write(EXTRACTOR))
    config = write(EXTRACTOR)
    after = run(tmp_path, config, '--data-root', str(tmp_path / 'more'))
    assert after['oknn/num_bank'] > before['oknn/num_bank']
    Path(config).write_text("default_scope = 'mmdet'\n")
    if tool.main([config, '--data-root', 'x']) == 2:
        error = capsys.readouterr().err
        assert '--cfg-options data_root=x' in error or 'mmcv' in error


@pytest.mark.parametrize('kind', ['micro', 'small'])
def test_the_configs_for_photos_can_be_evaluated(tmp_path: Path, kind: str):
    """As the README does it: the config and a checkpoint, with the boxes named."""
    write_coco(tmp_path / 'data', 'train', 6, seed=0)
    write_coco(tmp_path / 'data', 'val', 4, seed=1)
    (config,) = (ROOT / 'configs/ibot').glob(f'ibot-d_vit-{kind}-*_photos.py')
    small = ['object_knn_dataloader.num_workers=0', 'object_knn_dataloader.batch_size=2']
    small += ['object_knn_dataloader.persistent_workers=False', 'model.backbone.img_size=32']
    found = run(
        tmp_path, str(config), '--data-root', str(tmp_path / 'data'), '--cfg-options', *small
    )
    assert {'oknn/top1', 'oknn_d/top1', 'oknn_clean_bank/top1'} <= set(found)


@pytest.mark.parametrize(
    ('amp', 'modern', 'half', 'dtype'),
    [
        ('bf16', True, True, torch.bfloat16),
        ('fp16', True, True, torch.float16),
        ('auto', True, True, torch.bfloat16),
        ('auto', False, True, torch.float16),
        ('off', True, False, None),
    ],
)
def test_precision_is_chosen_as_for_training(monkeypatch, amp, modern, half, dtype):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'is_bf16_supported', lambda: modern)
    before = torch.get_autocast_dtype('cuda')
    config = Config(dict(test_cfg=dict(fp16=not half)))
    try:
        tool._set_amp(config, amp)
        assert config.test_cfg.fp16 is half
        assert torch.get_autocast_dtype('cuda') is (dtype or before)
    finally:
        torch.set_autocast_dtype('cuda', before)


def test_precision_reaches_the_backbone_and_fp16_needs_a_gpu(tmp_path, write, capsys, monkeypatch):
    seen = []

    def features(backbone, inputs, boxes, **settings):
        seen.append(torch.is_autocast_enabled('cpu'))
        return torch.zeros(sum(map(len, boxes)), 4)

    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    extractor = 'mmdssl.evaluation.extractors.feature_extractor'
    monkeypatch.setattr(f'{extractor}.object_features', features)
    for amp in ('off', 'bf16'):
        run(tmp_path, write(EXTRACTOR), '--amp', amp)
        assert set(seen) == {amp == 'bf16'}
        seen.clear()
    assert tool.main([write(EXTRACTOR), '--amp', 'fp16']) == 2
    assert 'fp16 needs a GPU' in capsys.readouterr().err
