"""How many de-coupled views the configs of published rows make, against what is published."""

from pathlib import Path

import pytest
from mmengine.registry import init_default_scope

from mmdssl.engine.config import load_config
from mmdssl.models.branches.decoupling import DecouplingBranch
from mmdssl.registry import MODELS

CONFIGS = Path(__file__).parents[2] / 'configs'
# Table 8 of "Mind Your Augmentation": additional crops, in batches. The public code of iBOT-D,
# which its config follows, makes a quarter of each of its two views.
SHARES = {
    'soco/soco-d_resnet50-c4_16xb64-coslr-800e_coco.py': 0.25,
    'soco/soco-d_resnet50-c4_16xb64-coslr-200e_coco.py': 0.25,
    'densecl/densecl-d_resnet50_8xb32-coslr-800e_coco.py': 0.25,
    'maskalign/maskalign-d_vit-small-p16_8xb128-coslr-800e_coco.py': 0.25,
    'ibot/ibot-d_vit-small-p16_8xb64-coslr-800e_coco.py': 0.5,
}


@pytest.mark.parametrize('path', SHARES)
def test_additional_crops_are_the_published_share_of_a_batch(path):
    init_default_scope('mmdssl')
    config = load_config(CONFIGS / path)
    host = MODELS.get(config.model.type)
    branch = DecouplingBranch(**{**host.decoupling_defaults, **_settings(config)})
    size = config.train_dataloader.batch_size
    each = int(branch.sample_ratio * size)
    assert each * len(branch.key_views) == SHARES[path] * size


def _settings(config) -> dict:
    return {key: value for key, value in config.model.decoupling.items() if key != 'type'}
