"""iBOT with RCC masks on a few hundred COCO photos: a small ViT, a CPU, minutes.

Purpose: CPU-sized version of iBOT-RCC.
Command: mmdssl train configs/coco_mini/ibot-rcc_vit-micro-p16_1xb32-400i_coco-mini.py
    --cfg-options data_root=FOLDER, see ibot_vit-micro-p16_1xb32-400i_coco-mini.py
Measured: see README.md beside this file.
"""

_base_ = './ibot_vit-micro-p16_1xb32-400i_coco-mini.py'

train_dataloader = dict(dataset=dict(pipeline=_base_.rcc_pipeline))
