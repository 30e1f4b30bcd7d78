"""iBOT with blocks of 0.3 of a view.

Reproduces: "Mind Your Augmentation" (ICLR 2024), Fig. 8: coupling rises with the mask ratio. Its
    ratios are not stated; 0.1, 0.3, 0.5 and 0.7 are ours, of every second view, as iBOT masks.
Command: tools/dist_train.sh configs/ablations/ibot-block30_vit-small-p16_8xb64-coslr-200e_coco.py 8
Costs: a quarter of the 800 epochs. Ours: not measured.
Measured: not measured.
"""

_base_ = './ibot_vit-small-p16_8xb64-coslr-200e_coco.py'

from mmdssl.core.config_parts import changed  # _base_ comes first: this is no lazy config

ratio = ((dict(type='BlockwiseMask'), dict(ratio=0.3)),)
own_pipeline = changed(_base_.block_pipeline, ratio)
train_dataloader = dict(dataset=dict(pipeline=own_pipeline))
