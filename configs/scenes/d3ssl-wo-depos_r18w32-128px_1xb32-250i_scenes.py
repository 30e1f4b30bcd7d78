"""D3SSL without the de-positioning loss on generated scenes: a CPU, minutes.

Purpose: comparison with the D3SSL run of this folder.
Command: mmdssl train configs/scenes/d3ssl-wo-depos_r18w32-128px_1xb32-250i_scenes.py
Measured: see README.md beside this file.
"""

_base_ = './d3ssl_r18w32-128px_1xb32-250i_scenes.py'

model = dict(with_depositioning_loss=False)
train_dataloader = dict(dataset=dict(pipeline=_base_.wo_depos_pipeline))
