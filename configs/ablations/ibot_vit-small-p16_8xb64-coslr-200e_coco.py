"""iBOT, 200 epochs: the base of the ablations.

Reproduces: "Mind Your Augmentation" (ICLR 2024), Tables 4 and 5, row iBOT; Fig. 9, T@1.
Command: tools/dist_train.sh configs/ablations/ibot_vit-small-p16_8xb64-coslr-200e_coco.py 8
Costs: a quarter of the 800 epochs. Ours: not measured.
Published: Cascade Mask R-CNN 38.7 AP; O-KNN 69.9 top-1; coupling ratio 1.80 between objects, 0.17
    within.
Measured: not measured.
"""

_base_ = '../ibot/ibot_vit-small-p16_8xb64-coslr-800e_coco.py'

train_cfg = dict(max_epochs=200)
