# MaskAlign's pipelines at 128 px, for runs on a CPU.
_base_ = './maskalign_views.py'

from mmdssl.core.config_parts import changed  # _base_ comes first: this is no lazy config

mask_size = (8, 8)  # 128 px / 16 px patches
_small = (
    (dict(size=224), dict(size=128, scale=(0.3, 1.0))),
    (dict(mask_size=(14, 14)), dict(mask_size=mask_size)),
)
crop = changed(_base_.crop, _small)
branch_mask = changed(_base_.branch_mask, _small)
plain_pipeline = changed(_base_.plain_pipeline, _small)
decoupled_pipeline = changed(_base_.decoupled_pipeline, _small)
