"""iBOT-D with weight 0.4 of the branch's loss.

Reproduces: "Mind Your Augmentation" (ICLR 2024), Table 13, lambda 0.4.
Command: tools/dist_train.sh
    configs/ablations/ibot-d-lambda04_vit-small-p16_8xb64-coslr-200e_coco.py 8
Costs: a quarter of the 800 epochs. Ours: not measured.
Published: Cascade Mask R-CNN 41.2 AP; coupling ratio 1.12 between objects, 0.02 within.
Measured: not measured.
"""

_base_ = './ibot-d-rcc_vit-small-p16_8xb64-coslr-200e_coco.py'

model = dict(decoupling=dict(weight=0.4))
