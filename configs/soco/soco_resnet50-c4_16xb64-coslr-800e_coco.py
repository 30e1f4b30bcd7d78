"""SoCo (C4), ResNet-50, COCO train2017, 800 epochs: the plain baseline.

Reproduces: "Mind Your Augmentation" (ICLR 2024), Tables 1 and 3, row SoCo: batch 1024, selective
    search proposals, four boxes per image. Its base rate of 2.0 is read as 8.0 at this batch, the
    linear rule of SoCo's own runs.
Command: proposals first, see README.md; then on each of two machines with 8 GPUs
    NNODES=2 NODE_RANK=... MASTER_ADDR=... tools/dist_train.sh
    configs/soco/soco_resnet50-c4_16xb64-coslr-800e_coco.py 8
    One machine: --cfg-options train_dataloader.batch_size=128
Costs: published 27 hours on 8 RTX 3090. Ours: not measured.
Published: Mask R-CNN R50-C4 on COCO 38.5 box AP, 33.4 mask AP; Faster R-CNN on VOC 56.8 AP; O-KNN
    73.5 top-1, disturbed 43.7; inter-object coupling 1.15.
Measured: not measured.
"""

_base_ = [
    '../_base_/models/soco_resnet50-c4.py',
    '../_base_/datasets/coco_soco.py',
    '../_base_/datasets/coco_object_knn.py',
    '../_base_/schedules/soco_lars_16xb64-coslr-800e.py',
    '../default_runtime.py',
]

model = dict(data_preprocessor=_base_.data_preprocessor)
custom_hooks = [*_base_.custom_hooks, dict(type='ObjectKNNHook', interval=20)]
