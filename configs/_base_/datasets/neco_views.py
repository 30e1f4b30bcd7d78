# NeCo's crops for patches of 14 px: those of Leopart with two of 518 px and four of 98 px.
_base_ = './leopart_views.py'

from mmdssl.core.config_parts import changed  # _base_ comes first: this is no lazy config

mask_size = (37, 37)  # 518 px / 14 px patches
_larger = (
    (dict(size=224), dict(size=518)),
    (dict(size=96), dict(size=98)),
    (dict(mask_size=(14, 14)), dict(mask_size=mask_size)),
)
global_crop = changed(_base_.global_crop, _larger)
local_crop = changed(_base_.local_crop, _larger)
branch_mask = changed(_base_.branch_mask, _larger)
leopart_pipeline = changed(_base_.leopart_pipeline, _larger)
decoupled_pipeline = changed(_base_.decoupled_pipeline, _larger)
