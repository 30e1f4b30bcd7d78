"""iBOT-D with rectangles whose branch compares all pairs of foreground positions.

Reproduces: "Mind Your Augmentation" (ICLR 2024), Table 5, row DC_p-a.
Command: tools/dist_train.sh configs/ablations/ibot-d-rec-all_vit-small-p16_8xb64-coslr-200e_coco.py
    8
Costs: a quarter of the 800 epochs. Ours: not measured.
Published: Cascade Mask R-CNN 37.2 AP; O-KNN 66.7 top-1; coupling ratio 1.48 between objects, 0.45
    within.
Measured: not measured.
"""

_base_ = './ibot-d-rec_vit-small-p16_8xb64-coslr-200e_coco.py'

model = dict(decoupling=dict(objective='all'))
