"""SoCo with RCC, half-width ResNet-18, 96 px views, from nothing on photos: a CPU core.

Purpose: RCC in place of the square that SoCo cuts out of every second box.
Command: mmdssl train configs/photos/soco-rcc_r18w32-96px_1xb64-600i_photos.py
    --amp bf16 --cfg-options data_root=PHOTOS
Measured: see README.md beside this file.
"""

_base_ = './soco_r18w32-96px_1xb64-600i_photos.py'

train_dataloader = dict(
    dataset=dict(
        pipeline=[
            *_base_.load,
            dict(_base_.common, finish=[_base_.no_erase, _base_.rcc_erase]),
            dict(type='PackViews', keys=('boxes', 'box_ids', 'erase')),
        ]
    ),
)
