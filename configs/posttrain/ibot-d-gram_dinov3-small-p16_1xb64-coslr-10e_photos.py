"""iBOT-D with Gram anchoring from DINOv3-S/16 on a folder of your own photos: no labels, one GPU.

Purpose: as without Gram anchoring, while the patches of an image stay as alike as the given net
    sees them at twice the size (512 px, uncoloured). Two branches; the settings are ours.
Command: mmdssl convert import dinov3_vits16_pretrain_lvd1689m-08c60483.pth
    --out data/weights/dinov3_vits16.pth
    mmdssl train ibot-d-gram_dinov3-small-p16_1xb64-coslr-10e_photos --cfg-options data_root=PHOTOS
    or at once: mmdssl pretrain ibot-d-gram init=dinov3_vits16_pretrain_lvd1689m-08c60483.pth
    data=PHOTOS out=DIR
Measured: not measured.
"""

_base_ = './ibot-d_dinov3-small-p16_1xb64-coslr-10e_photos.py'

from mmdssl.core.config_parts import changed  # _base_ comes first: this is no lazy config

side = (dict(size=224), dict(size=512))
cells = (dict(mask_size=(14, 14)), dict(mask_size=(16, 16)))  # the student sees 256 px
model = dict(
    data_preprocessor=dict(keep_raw=True, student_size=256),
    branches=[dict(type='GramAnchoring', weight=2.0, sees='raw')],
)
train_dataloader = dict(dataset=dict(pipeline=changed(_base_.decoupled_pipeline, [side, cells])))
