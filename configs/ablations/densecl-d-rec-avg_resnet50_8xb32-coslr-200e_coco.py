"""DenseCL-D with rectangles whose branch compares the means over the foreground.

Reproduces: "Mind Your Augmentation" (ICLR 2024), Table 11, row DC_Avg.
Command: tools/dist_train.sh configs/ablations/densecl-d-rec-avg_resnet50_8xb32-coslr-200e_coco.py 8
Costs: a quarter of the 800 epochs. Ours: not measured.
Published: VOC detection 54.4 AP; O-KNN 65.2 top-1; coupling ratio 1.33 between objects, 0.33
    within.
Measured: not measured.
"""

_base_ = './densecl-d-rec_resnet50_8xb32-coslr-200e_coco.py'

model = dict(decoupling=dict(objective='average'))
