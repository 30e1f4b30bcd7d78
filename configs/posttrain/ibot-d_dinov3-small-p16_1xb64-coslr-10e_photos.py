"""iBOT-D from DINOv3-S/16 on a folder of your own photos: no labels, one GPU.

Purpose: to go on from DINOv3, on the 256 px it was trained at, with its drawn scale of positions;
    else as from DINOv2. bfloat16, as float16 is reported to fail with these weights. They, and what
    is trained from them, are under the DINOv3 License.
Command: mmdssl convert import dinov3_vits16_pretrain_lvd1689m-08c60483.pth
    --out data/weights/dinov3_vits16.pth
    mmdssl train ibot-d_dinov3-small-p16_1xb64-coslr-10e_photos --cfg-options data_root=PHOTOS
    or at once: mmdssl pretrain ibot-d init=dinov3_vits16_pretrain_lvd1689m-08c60483.pth data=PHOTOS
    out=DIR
Measured: not measured.
"""

_base_ = './ibot-d_dinov2-small-p14_1xb64-coslr-10e_photos.py'

from mmdssl.core.config_parts import changed  # _base_ comes first: this is no lazy config

side = (dict(size=224), dict(size=256))
cells = (dict(mask_size=(14, 14)), dict(mask_size=(16, 16)))  # 256 px / 16 px patches
model = dict(
    init='data/weights/dinov3_vits16.pth',
    backbone=dict(patch_size=16, img_size=256, registers=4, rope=dict(rescale=2.0)),
)
train_dataloader = dict(dataset=dict(pipeline=changed(_base_.decoupled_pipeline, [side, cells])))
object_knn_dataloader = dict(
    dataset=dict(pipeline=changed(_base_.object_knn_dataloader.dataset.pipeline, [side]))
)
optim_wrapper = dict(dtype='bfloat16')
