"""iBOT with RCC masks on generated scenes: a CPU, minutes.

Reproduces: no table; the small counterpart of iBOT-RCC.
Command: python tools/train.py configs/scenes/ibot-rcc_vit-micro-p16_1xb24-250i_scenes.py
Costs: see README.md beside this file.
Published: none.
Measured: not measured.
"""

_base_ = './ibot_vit-micro-p16_1xb24-250i_scenes.py'

train_dataloader = dict(dataset=dict(pipeline=_base_.rcc_pipeline))
