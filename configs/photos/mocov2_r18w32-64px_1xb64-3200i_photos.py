"""MoCo v2, half-width ResNet-18, 64 px views, from nothing on a few thousand photos: a CPU core.

Purpose: an image-level method beside the dense ones of this folder.
Command: mmdssl train configs/photos/mocov2_r18w32-64px_1xb64-3200i_photos.py
    --amp bf16 --cfg-options data_root=PHOTOS
Measured: see README.md beside this file.
"""

_base_ = './densecl_r18w32-64px_1xb64-3200i_photos.py'

model = dict(loss_lambda=0)
