"""A user's config of mmdet or mmseg that only imports this package."""

from pathlib import Path

from tests.configs.test_configs import in_fresh_process


def users_own_config(folder: str) -> None:
    """A config of mmdet that knows this package by ``custom_imports=['mmdssl']`` alone."""
    from mmengine.config import Config
    from mmengine.registry import MODELS, OPTIM_WRAPPER_CONSTRUCTORS, init_default_scope

    path = Path(folder) / 'own.py'
    path.write_text(
        "_base_ = 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py'\n"
        "custom_imports = dict(imports=['mmdssl'])\n"
        'model = dict(\n'
        "    backbone=dict(_delete_=True, type='mmdssl.TapViT', img_size=64),\n"
        "    neck=[dict(type='mmdssl.DeconvPyramid', in_channels=384),\n"
        "          dict(type='FPN', in_channels=[384] * 4, out_channels=256, num_outs=5)])\n"
        "optim_wrapper = dict(constructor='mmdssl.LayerDecayOptimWrapperConstructor',\n"
        '                     paramwise_cfg=dict(decay_rate=0.8))\n'
    )
    config = Config.fromfile(path)
    init_default_scope(config.default_scope)
    model = MODELS.build(config.model)
    wrapper_cfg = config.optim_wrapper
    constructor = OPTIM_WRAPPER_CONSTRUCTORS.build(
        dict(
            type=wrapper_cfg.pop('constructor'),
            paramwise_cfg=wrapper_cfg.pop('paramwise_cfg'),
            optim_wrapper_cfg=wrapper_cfg,
        )
    )
    assert type(constructor(model)).__name__ == 'OptimWrapper'
    assert type(model.backbone).__name__ == 'TapViT'


def test_a_users_own_mmdet_config_needs_one_import(tmp_path):
    in_fresh_process(users_own_config, str(tmp_path))
