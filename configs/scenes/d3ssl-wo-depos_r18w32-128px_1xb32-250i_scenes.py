"""D3SSL without the de-positioning loss on generated scenes: a CPU, minutes.

Reproduces: no table; the partner of the D3SSL run beside it.
Command: python tools/train.py configs/scenes/d3ssl-wo-depos_r18w32-128px_1xb32-250i_scenes.py
Costs: see README.md beside this file.
Published: none.
Measured: see README.md beside this file.
"""

_base_ = './d3ssl_r18w32-128px_1xb32-250i_scenes.py'

model = dict(with_depositioning_loss=False)
train_dataloader = dict(dataset=dict(pipeline=_base_.wo_depos_pipeline))
