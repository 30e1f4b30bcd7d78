# SoCo's steps at 128 px, for runs on a CPU. Weak colours: a few hundred iterations learn from
# colour first.
_base_ = './soco_views.py'

from mmdssl.core.config_parts import changed  # _base_ comes first: this is no lazy config

_small = ((dict(size=224), dict(size=128)),)
common = changed(_base_.common, _small)
soco_steps = changed(_base_.soco_steps, _small)
decoupled_steps = changed(_base_.decoupled_steps, _small)
soco_rcc_steps = changed(_base_.soco_rcc_steps, _small)

colour = dict(
    jitter=dict(brightness=0.4, contrast=0.4, saturation=0.2, hue=0.05, prob=0.8),
    grayscale=0.1,
    blur=dict(prob=0.3, sigma=(0.1, 1.0)),
)
data_preprocessor = dict(policies=[colour, colour])
