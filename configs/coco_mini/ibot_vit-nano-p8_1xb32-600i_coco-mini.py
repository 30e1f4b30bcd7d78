"""iBOT on a few hundred COCO photos at 64 px: a CPU, minutes.

Reproduces: no table; shows that the pipeline trains on real photos.
Command: python tools/train.py configs/coco_mini/ibot_vit-nano-p8_1xb32-600i_coco-mini.py
    --cfg-options data_root=FOLDER, a folder in COCO's layout (train2017/, val2017/,
    annotations/instances_train2017.json, annotations/instances_val2017.json)
Costs: see README.md beside this file.
Published: none.
Measured: see README.md beside this file.
"""

_base_ = '../scenes/ibot_vit-nano-p8_1xb24-250i_scenes.py'

data_root = 'data/coco_mini/'
train_cfg = dict(max_iters=600)
train_dataloader = dict(batch_size=32, dataset=dict(data_root=data_root + 'train2017/'))
train_part = dict(ann_file='annotations/instances_train2017.json', data_prefix='train2017/')
val_part = dict(ann_file='annotations/instances_val2017.json', data_prefix='val2017/')
object_knn_dataloader = dict(
    dataset=dict(
        data_root=data_root,
        datasets=dict(
            bank=train_part,
            query=val_part,
            bank_disturbed=train_part,
            query_disturbed=val_part,
        ),
    )
)
