"""D3SSL without the de-positioning loss, half-width ResNet-18, 96 px views, on photos: a CPU core.

Purpose: comparison with the D3SSL run of this folder.
Command: mmdssl train configs/photos/d3ssl-wo-depos_r18w32-96px_1xb32-400i_photos.py
    --amp bf16 --cfg-options data_root=PHOTOS
Measured: see README.md beside this file.
"""

_base_ = './d3ssl_r18w32-96px_1xb32-400i_photos.py'

model = dict(with_depositioning_loss=False)
train_dataloader = dict(dataset=dict(pipeline=_base_.wo_depos_pipeline))
