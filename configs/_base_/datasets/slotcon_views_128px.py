# SlotCon's pipelines at 128 px, for runs on a CPU. Weaker crops and colours: a few hundred
# iterations learn from colour first.
_base_ = './slotcon_views.py'

from mmdssl.core.config_parts import changed  # _base_ comes first: this is no lazy config

_small = ((dict(size=224), dict(size=128, scale=(0.3, 1.0))),)
plain_pipeline = changed(_base_.plain_pipeline, _small)
decoupled_pipeline = changed(_base_.decoupled_pipeline, _small)

colour = dict(
    jitter=dict(brightness=0.4, contrast=0.4, saturation=0.2, hue=0.05, prob=0.8),
    grayscale=0.1,
    blur=dict(prob=0.3, sigma=(0.1, 1.0)),
)
data_preprocessor = dict(policies=[colour, colour])
