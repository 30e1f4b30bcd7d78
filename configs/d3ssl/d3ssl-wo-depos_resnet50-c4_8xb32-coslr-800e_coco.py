"""D3SSL without the de-positioning loss, 800 epochs.

Purpose: the ablation without L_dp at full length.
Command: tools/dist_train.sh configs/d3ssl/d3ssl-wo-depos_resnet50-c4_8xb32-coslr-800e_coco.py 8
Costs: one student pass of three less than with the loss. Ours: not measured.
Measured: not measured.
"""

_base_ = './d3ssl_resnet50-c4_8xb32-coslr-800e_coco.py'

model = dict(with_depositioning_loss=False)
train_dataloader = dict(dataset=dict(pipeline=_base_.wo_depos_pipeline))
