"""Configs that go on from given weights: a step of a small net of their kind, what they share."""

import pytest

from mmdssl.engine.config import load_config
from mmdssl.engine.pretraining.catalogue import shipped_configs
from tests.configs.test_configs import (  # noqa: F401 - a fixture
    data,
    in_fresh_process,
    train_one_step,
)
from tests.conftest import ROOT

PATHS = [one.path.relative_to(ROOT).as_posix() for one in shipped_configs() if one.continues]
VIT = {
    'model.backbone.arch': dict(
        embed_dims=24, num_layers=2, num_heads=3, feedforward_channels=48, _delete_=True
    ),
    'model.head.in_channels': 24,
    'model.head.hidden_channels': 32,
}
RESNET = {
    'model.backbone.depth': 18,
    'model.backbone.stem_channels': 32,
    'model.backbone.base_channels': 32,
    'model.neck.in_channels': 256,
}
GIVEN = {
    'dinov2-small-p14': dict(patch_size=14, img_size=518),
    'dinov2-reg-small-p14': dict(patch_size=14, img_size=518, registers=4),
    'dinov3-small-p16': dict(patch_size=16, registers=4, rope=dict(rescale=2.0)),
}


# Of the others tests/cli/test_pretrain_given.py trains some, from a file.
QUICK = ('densecl', 'soco', 'ibot-d_dinov3', 'leopart-d_dinov3')


def quick_and_slow(path: str):
    quick = path.rpartition('/')[2].startswith(QUICK)
    return path if quick else pytest.param(path, marks=pytest.mark.slow)


@pytest.mark.parametrize('path', [quick_and_slow(path) for path in PATHS])
def test_its_small_form_trains_a_step(path, data, tmp_path):  # noqa: F811
    small = RESNET if 'resnet' in path else VIT
    in_fresh_process(train_one_step, path, str(data), str(tmp_path), small)


@pytest.mark.parametrize('path', PATHS)
def test_backbones_are_those_of_the_files_and_learn_slower_than_new_heads(path):
    config = load_config(ROOT / path)
    assert config.model.init.startswith('data/weights/')
    assert config.model.decoupling.type == 'DecouplingBranch'
    assert config.optim_wrapper.paramwise_cfg.custom_keys.backbone.lr_mult == 0.1
    assert config.train_cfg.max_epochs == 10
    backbone = config.model.backbone
    name = path.split('_')[1]
    for key, value in GIVEN.get(name, dict(depth=50)).items():
        assert backbone[key] == value, key
    if name in GIVEN:
        assert backbone.layer_scale_init_value == 1e-5
        views = config.train_dataloader.dataset.pipeline[1]['pipelines']
        student = config.model.data_preprocessor.get('student_size')
        for part in views:
            side = student or part[0]['size']
            assert side % backbone.patch_size == 0
            cells = {step['mask_size'] for step in part if 'mask_size' in step}
            assert cells <= {(side // backbone.patch_size,) * 2}
