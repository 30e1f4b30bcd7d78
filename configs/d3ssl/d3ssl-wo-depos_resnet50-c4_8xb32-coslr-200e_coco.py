"""D3SSL without the de-positioning loss, 200 epochs.

Reproduces: "De-coupling and De-positioning Dense Self-supervised Learning", Table 7, row without
    L_dp, which is also the last row of Table 5 (PRC, RBJ and PRM). The other rows of Table 5:
    configs/ablations/d3ssl_table_5.
Command: tools/dist_train.sh configs/d3ssl/d3ssl-wo-depos_resnet50-c4_8xb32-coslr-200e_coco.py 8
Costs: one student pass of three less than with the loss. Ours: not measured.
Published: VOC detection 55.5 AP; coupling ratio 1.33; mean cosine similarity 0.68.
Measured: not measured.
"""

_base_ = './d3ssl_resnet50-c4_8xb32-coslr-200e_coco.py'

model = dict(with_depositioning_loss=False)
train_dataloader = dict(dataset=dict(pipeline=_base_.wo_depos_pipeline))
