# PLRC's pipelines at 128 px, points on a grid of 16 x 16, for runs on a CPU. Weaker crops and
# colours: a few hundred iterations learn from colour first.
_base_ = './plrc_views.py'

from mmdssl.core.config_parts import changed  # _base_ comes first: this is no lazy config

_small = (
    (dict(size=224), dict(size=128, scale=(0.3, 1.0))),
    (dict(map_size=56), dict(map_size=16)),
)
plrc_pipeline = changed(_base_.plrc_pipeline, _small)
plrc_decoupled_pipeline = changed(_base_.plrc_decoupled_pipeline, _small)

colour = dict(
    jitter=dict(brightness=0.4, contrast=0.4, saturation=0.2, hue=0.05, prob=0.8),
    grayscale=0.1,
    blur=dict(prob=0.3, sigma=(0.1, 1.0)),
)
data_preprocessor = dict(policies=[colour] * 3)
