"""iBOT-D with rectangles whose branch compares the means over the foreground.

Reproduces: "Mind Your Augmentation" (ICLR 2024), Table 5, row DC_Avg.
Command: tools/dist_train.sh configs/ablations/ibot-d-rec-avg_vit-small-p16_8xb64-coslr-200e_coco.py
    8
Costs: a quarter of the 800 epochs. Ours: not measured.
Published: Cascade Mask R-CNN 38.0 AP; O-KNN 69.0 top-1; coupling ratio 1.51 between objects, 0.36
    within.
Measured: not measured.
"""

_base_ = './ibot-d-rec_vit-small-p16_8xb64-coslr-200e_coco.py'

model = dict(decoupling=dict(objective='average'))
