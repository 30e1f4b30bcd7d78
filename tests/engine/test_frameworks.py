"""Configs of mmdet and mmseg: what does not fit is one sentence with its remedy."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from torch import nn

from mmdssl import compat
from mmdssl.engine.config import load_config
from mmdssl.engine.frameworks import (
    check_classes,
    check_framework,
    check_precision,
    framework_of,
    readable_data,
)
from mmdssl.engine.launch import prepare_config, set_precision
from tests.test_compat import make_stack


def config_of(scope: str | None, **settings) -> Config:
    return Config(dict(settings, **({'default_scope': scope} if scope else {})))


@pytest.mark.parametrize(
    ('scope', 'framework'),
    [('mmdet', 'mmdet'), ('mmseg', 'mmseg'), ('mmdssl', None), ('mmpretrain', None), (None, None)],
)
def test_the_scope_names_the_framework(scope, framework):
    assert framework_of(config_of(scope)) == framework


def test_missing_ops_error_is_short(monkeypatch, tmp_path):
    monkeypatch.setattr(compat, 'inspect_stack', lambda: make_stack('mmcv._ext'))
    for scope in ('mmdet', 'mmseg'):
        with pytest.raises(ImportError, match=r'no compiled ops.*Remedy: make env-full'):
            check_framework(config_of(scope))
        path = tmp_path / f'{scope}.py'
        path.write_text(
            f"default_scope = '{scope}'\ncustom_imports = dict(imports=['no_such_module'])\n"
        )
        with pytest.raises(ImportError, match=r'no compiled ops.*Remedy: make env-full'):
            load_config(path)
    check_framework(config_of('mmdssl'))  # pre-training needs none


def test_a_missing_framework_is_one_sentence(monkeypatch):
    monkeypatch.setattr(compat, 'inspect_stack', lambda: make_stack('mmseg'))
    check_framework(config_of('mmdet'))
    with pytest.raises(ImportError, match=r'not installed: mmseg\..*\[seg\]'):
        check_framework(config_of('mmseg'))


@pytest.mark.parametrize('scope', ['mmdet', 'mmseg'])
@pytest.mark.parametrize(('amp', 'dtype'), [('bf16', 'bfloat16'), ('fp16', 'float16')])
def test_amp_switches_to_mmengines_own_wrapper_and_back(scope, amp, dtype):
    before = dict(
        type='OptimWrapper', optimizer=dict(type='SGD', lr=0.1), clip_grad=dict(max_norm=1)
    )
    config = config_of(scope, optim_wrapper=before)
    set_precision(config, amp)
    assert config.optim_wrapper == dict(before, type='AmpOptimWrapper', dtype=dtype)
    config.optim_wrapper.loss_scale = 'dynamic'
    set_precision(config, 'off')
    assert config.optim_wrapper == before


def test_mixed_precision_without_a_gpu_is_told_with_its_remedy(monkeypatch):
    config = config_of('mmseg', optim_wrapper=dict(type='AmpOptimWrapper'))
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    with pytest.raises(ValueError, match=r'mmseg needs a GPU.*--amp off'):
        check_precision(config)
    set_precision(config, 'off')
    check_precision(config)
    check_precision(config_of(None, optim_wrapper=dict(type='AmpOptimWrapper')))
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    check_precision(config_of('mmdet', optim_wrapper=dict(type='AmpOptimWrapper')))


class Detector(nn.Module):
    def __init__(self, number: int) -> None:
        super().__init__()
        self.rpn_head, self.roi_head = nn.Module(), nn.Module()
        self.rpn_head.num_classes = 1
        self.roi_head.bbox_head = nn.ModuleList([nn.Module(), nn.Module()])
        self.roi_head.bbox_head[0].num_classes = 2
        self.roi_head.bbox_head[1].num_classes = number


def coco(tmp_path: Path, classes: tuple[str, ...], found: int) -> SimpleNamespace:
    """What of mmdet's CocoDataset is looked at: it takes the categories that it finds."""
    path = tmp_path / 'instances.json'
    path.write_text('{"categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "cup"}]}')
    return SimpleNamespace(
        metainfo=dict(classes=classes), cat_ids=list(range(found)), ann_file=str(path)
    )


def test_a_class_that_is_no_category_is_named_beside_those_there_are(tmp_path):
    data = coco(tmp_path, ('cat', 'mug'), found=1)
    for wrapped in (data, SimpleNamespace(dataset=data), SimpleNamespace(datasets=[data])):
        with pytest.raises(
            ValueError, match=r'instances\.json has no category mug, but cat, cup: correct meta'
        ):
            check_classes(Detector(2), wrapped)
    check_classes(Detector(2), coco(tmp_path, ('cat', 'cup'), found=2))


def test_heads_for_another_number_of_classes_are_named(tmp_path):
    data = coco(tmp_path, ('cat', 'cup'), found=2)
    with pytest.raises(
        ValueError, match=r'roi_head\.bbox_head\.1 is for num_classes=80, .* have 2 classes: set'
    ):
        check_classes(Detector(80), data)
    segmentor = nn.Module()
    segmentor.decode_head = nn.Module()
    segmentor.decode_head.num_classes = 150
    folder = SimpleNamespace(metainfo=dict(classes=('wall', 'sky')))
    with pytest.raises(ValueError, match=r'model\.decode_head is for num_classes=150'):
        check_classes(segmentor, folder)
    check_classes(segmentor, SimpleNamespace(metainfo={}))  # data that name no classes


def test_data_without_a_single_object_are_told_as_such():
    dataset = dict(ann_file='a.json', metainfo=dict(classes=('mug',)))
    config = config_of('mmdet', train_dataloader=dict(dataset=dict(dataset=dataset)))
    told = r'a\.json: no image with .* classes mug: write metainfo'
    with pytest.raises(ValueError, match=told), readable_data(config):
        raise ValueError('need at least one array to concatenate')
    with pytest.raises(ValueError, match='another'), readable_data(config):
        raise ValueError('another')
    with pytest.raises(ValueError, match='at least one array'), readable_data(config_of(None)):
        raise ValueError('need at least one array to concatenate')


def test_a_missing_json_is_told_and_other_missing_files_are_left():
    config = config_of('mmdet', train_dataloader=dict(dataset=dict()))
    told = r'no annotations nowhere\.json: correct data_root or ann_file'
    with pytest.raises(FileNotFoundError, match=told), readable_data(config):
        Path('nowhere.json').read_text()
    with pytest.raises(FileNotFoundError, match='No such file'), readable_data(config):
        Path('nowhere.jpg').read_text()
    with pytest.raises(FileNotFoundError, match='No such file'), readable_data(config_of(None)):
        Path('nowhere.json').read_text()


def test_a_training_config_of_a_framework_goes_through_the_options(tmp_path):
    config = config_of(
        'mmdet',
        model=dict(),
        train_dataloader=dict(),
        train_cfg=dict(max_iters=1),
        optim_wrapper=dict(type='OptimWrapper'),
        work_dir=str(tmp_path),
    )
    assert prepare_config(config, amp='bf16').optim_wrapper.type == 'AmpOptimWrapper'
