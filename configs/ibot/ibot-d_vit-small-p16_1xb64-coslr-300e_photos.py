"""iBOT-D on a folder of photos of your own: no labels, no boxes, one GPU.

Reproduces: no table. The settings of iBOT-D for COCO at an eighth of the batch (and so of the
    learning rate), 300 epochs, a tenth of them with rising teacher temperature as there.
Command: python tools/train.py configs/ibot/ibot-d_vit-small-p16_1xb64-coslr-300e_photos.py
    --cfg-options data_root=PHOTOS
Costs: add --dry-run to the command: it measures a few steps and says.
Published: none.
Measured: not measured.
"""

_base_ = './ibot-d_vit-small-p16_8xb64-coslr-800e_coco.py'

data_root = 'data/photos/'
train_dataloader = dict(dataset=dict(data_root=data_root))
train_cfg = dict(max_epochs=300)
optim_wrapper = dict(optimizer=dict(lr=0.00025))
model = dict(loss=dict(warmup_epochs=30))
# O-KNN needs boxes. With an annotated set in COCO's format, inherit the hook and its data instead.
custom_hooks = _base_.custom_hooks[:-1]
object_knn_dataloader = None
object_knn_evaluator = None
