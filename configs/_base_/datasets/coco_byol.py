# COCO train2017 in BYOL's two 224 px views: plain, and with the masks of the de-coupling branch.
_base_ = './coco_mocov2.py'

from mmdssl.core.config_parts import changed  # _base_ comes first: this is no lazy config

_larger = ((dict(type='RandomResizedCropWithBoxes'), dict(scale=(0.08, 1.0))),)
plain_pipeline = changed(_base_.plain_pipeline, _larger)
decoupled_pipeline = changed(_base_.decoupled_pipeline, _larger)

# The blur follows grayscale; the second view is blurred less often and solarised.
_jitter = dict(brightness=0.4, contrast=0.4, saturation=0.2, hue=0.1, prob=0.8)
data_preprocessor = dict(
    policies=[
        dict(jitter=_jitter, grayscale=0.2, blur=dict(prob=1.0, sigma=(0.1, 2.0))),
        dict(
            jitter=_jitter,
            grayscale=0.2,
            blur=dict(prob=0.1, sigma=(0.1, 2.0)),
            solarize=dict(prob=0.2, threshold=0.5),
        ),
    ],
)
train_dataloader = dict(batch_size=64, dataset=dict(pipeline=plain_pipeline))
