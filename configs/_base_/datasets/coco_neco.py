# COCO train2017, labels unused.
_base_ = ['./neco_views.py', './image_loader.py']

data_root = 'data/coco/'
train_dataloader = dict(
    batch_size=64,
    dataset=dict(data_root=data_root + 'train2017/', pipeline=_base_.leopart_pipeline),
)
