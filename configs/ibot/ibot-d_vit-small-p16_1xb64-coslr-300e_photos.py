"""iBOT-D on a folder of your own images: no labels, no boxes, one GPU.

Purpose: iBOT-D on one GPU: the settings for COCO at an eighth of the batch (and so of the
    learning rate), 300 epochs, a tenth of them with rising teacher temperature as there.
Command: mmdssl train configs/ibot/ibot-d_vit-small-p16_1xb64-coslr-300e_photos.py
    --cfg-options data_root=PHOTOS
    mmdssl test THIS_FILE CHECKPOINT --data-root LABELLED
Costs: add --dry-run to the command; it tells images/s, memory and hours.
Measured: not measured.
"""

_base_ = './ibot-d_vit-small-p16_8xb64-coslr-800e_coco.py'

data_root = 'data/photos/'
train_dataloader = dict(dataset=dict(data_root=data_root))
train_cfg = dict(max_epochs=300)
optim_wrapper = dict(optimizer=dict(lr=0.00025))
model = dict(loss=dict(warmup_epochs=30))
# O-KNN needs boxes, so nothing is measured during training. A finished run is measured on labelled
# images in COCO's format: mmdssl test CONFIG CHECKPOINT --data-root LABELLED
custom_hooks = _base_.custom_hooks[:-1]
bank = dict(ann_file='annotations/instances_train.json', data_prefix='train/')
query = dict(ann_file='annotations/instances_val.json', data_prefix='val/')
object_knn_dataloader = dict(
    dataset=dict(
        data_root='data/labelled/',
        pipeline=[
            dict(type='LoadImage'),
            dict(type='SelectObjects', select='all'),
            dict(type='ResizeWithBoxes', size=224),
        ],
        datasets=dict(bank=bank, query=query, bank_disturbed=bank, query_disturbed=query),
    )
)
