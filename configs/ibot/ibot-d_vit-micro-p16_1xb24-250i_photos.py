"""iBOT-D with a small ViT on a folder of your own images: no labels, no boxes, a CPU, minutes.

Purpose: smoke test before the runs with ViT-S/16, see docs/photos_to_detector.md.
Command: mmdssl train configs/ibot/ibot-d_vit-micro-p16_1xb24-250i_photos.py
    --cfg-options data_root=PHOTOS
Costs: 6 minutes of one CPU core (AMD EPYC) for 250 iterations.
Measured: on scenes as photos, docs/photos_to_detector.md: a Faster R-CNN from it has box AP50 29.9
    (random start 25.5), O-KNN top-1 is 31.2 (untrained 30.9); one seed.
"""

_base_ = [
    '../_base_/models/ibot_vit-micro-p16.py',
    '../_base_/datasets/scenes_ibot.py',
    '../_base_/datasets/scenes_object_knn.py',
    '../_base_/schedules/ibot_adamw_1xb24-250i.py',
    '../default_runtime.py',
]

data_root = 'data/photos/'
train_dataloader = dict(dataset=dict(data_root=data_root, pipeline=_base_.decoupled_pipeline))
# Of boxes elsewhere, for mmdssl test CONFIG CHECKPOINT --data-root LABELLED; training needs none.
object_knn_dataloader = dict(dataset=dict(data_root='data/labelled/'))
model = dict(
    data_preprocessor=_base_.data_preprocessor,
    decoupling=dict(type='DecouplingBranch', weight=0.3, sample_ratio=0.25),
)
# Feature spread and rank need no labels, and tell of a collapse.
custom_hooks = [*_base_.custom_hooks, dict(type='RepresentationHealthHook', interval=50)]
default_hooks = dict(
    logger=dict(interval=10), checkpoint=dict(by_epoch=False, interval=50, max_keep_ckpts=1)
)
log_processor = dict(by_epoch=False)
