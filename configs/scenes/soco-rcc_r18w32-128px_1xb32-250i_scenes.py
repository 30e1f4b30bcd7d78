"""SoCo with RCC for its cutout on generated scenes: half-width ResNet-18, a CPU, minutes.

Purpose: CPU-sized version of the COCO run.
Command: mmdssl scenes data/scenes
    proposals of data/scenes/train, see configs/soco/README.md
    mmdssl train configs/scenes/soco-rcc_r18w32-128px_1xb32-250i_scenes.py
Measured: see README.md beside this file.
"""

_base_ = './soco_r18w32-128px_1xb32-250i_scenes.py'

train_dataloader = dict(dataset=dict(pipeline=_base_.soco_rcc_pipeline))
