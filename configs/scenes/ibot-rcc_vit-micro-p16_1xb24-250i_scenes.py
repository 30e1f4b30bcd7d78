"""iBOT with RCC masks on generated scenes: a CPU, minutes.

Purpose: CPU-sized version of iBOT-RCC.
Command: mmdssl train configs/scenes/ibot-rcc_vit-micro-p16_1xb24-250i_scenes.py
Measured: not measured.
"""

_base_ = './ibot_vit-micro-p16_1xb24-250i_scenes.py'

train_dataloader = dict(dataset=dict(pipeline=_base_.rcc_pipeline))
