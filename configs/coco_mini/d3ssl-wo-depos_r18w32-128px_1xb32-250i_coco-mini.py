"""D3SSL without the de-positioning loss on a few hundred COCO photos at 128 px: a CPU, minutes.

Purpose: comparison with the D3SSL run of this folder.
Command: mmdssl train
    configs/coco_mini/d3ssl-wo-depos_r18w32-128px_1xb32-250i_coco-mini.py
    --cfg-options data_root=FOLDER, see d3ssl_r18w32-128px_1xb32-250i_coco-mini.py
Measured: see README.md beside this file.
"""

_base_ = './d3ssl_r18w32-128px_1xb32-250i_coco-mini.py'

model = dict(with_depositioning_loss=False)
train_dataloader = dict(dataset=dict(pipeline=_base_.wo_depos_pipeline))
