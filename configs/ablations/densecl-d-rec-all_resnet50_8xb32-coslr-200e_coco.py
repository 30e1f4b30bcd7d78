"""DenseCL-D with rectangles whose branch compares all pairs of foreground positions.

Reproduces: "Mind Your Augmentation" (ICLR 2024), Table 11, row DC_p-a.
Command: tools/dist_train.sh configs/ablations/densecl-d-rec-all_resnet50_8xb32-coslr-200e_coco.py 8
Costs: a quarter of the 800 epochs. Ours: not measured.
Published: VOC detection 54.1 AP; O-KNN 63.5 top-1; coupling ratio 1.41 between objects, 0.40
    within.
Measured: not measured.
"""

_base_ = './densecl-d-rec_resnet50_8xb32-coslr-200e_coco.py'

model = dict(decoupling=dict(objective='all'))
