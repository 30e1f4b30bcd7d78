# iBOT's pipelines at 128 px, for runs on a CPU. Weak hue jitter: a few hundred iterations learn
# from colour first.
_base_ = './ibot_views.py'

from mmdssl.core.config_parts import changed  # _base_ comes first: this is no lazy config

mask_size = (8, 8)  # 128 px / 16 px patches
_small = (
    (dict(size=224), dict(size=128, scale=(0.3, 1.0))),
    (dict(mask_size=(14, 14)), dict(mask_size=mask_size)),
    (dict(type='BlockwiseMask'), dict(min_area=4)),
)
crop = changed(_base_.crop, _small)
block_mask = changed(_base_.block_mask, _small)
rcc_mask = changed(_base_.rcc_mask, _small)
branch_mask = changed(_base_.branch_mask, _small)
block_pipeline = changed(_base_.block_pipeline, _small)
rcc_pipeline = changed(_base_.rcc_pipeline, _small)
decoupled_pipeline = changed(_base_.decoupled_pipeline, _small)

colour = dict(
    jitter=dict(brightness=0.4, contrast=0.4, saturation=0.2, hue=0.05, prob=0.8),
    grayscale=0.1,
    blur=dict(prob=0.3, sigma=(0.1, 1.0)),
)
data_preprocessor = dict(policies=[colour, colour])
