"""MaskAlign, ViT-S/16, COCO train2017, 800 epochs: the plain baseline.

Reproduces: "Mind Your Augmentation" (ICLR 2024), Tables 2 and 3, row MaskAlign: batch 1024, base
    rate 3e-4. The teacher is not named there; CLIP ViT-B/16 is that of MaskAlign's own code. Nor
    is the warm-up; a tenth of the epochs as there.
Command: the teacher first, see README.md; then
    tools/dist_train.sh configs/maskalign/maskalign_vit-small-p16_8xb128-coslr-800e_coco.py 8
Costs: published 10 hours on 8 RTX 3090. Ours: not measured.
Published: Cascade Mask R-CNN 45.6 box AP, 39.6 mask AP; UPerNet 43.7 mIoU; O-KNN 77.4 top-1,
    disturbed 53.8.
Measured: not measured.
"""

_base_ = [
    '../_base_/models/maskalign_vit-small-p16.py',
    '../_base_/datasets/coco_maskalign.py',
    '../_base_/datasets/coco_object_knn.py',
    '../_base_/schedules/maskalign_adamw_8xb128-coslr-800e.py',
    '../default_runtime.py',
]

model = dict(data_preprocessor=_base_.data_preprocessor)
custom_hooks = [*_base_.custom_hooks, dict(type='ObjectKNNHook', interval=20)]
