# COCO train2017, labels unused.
_base_ = ['./leopart_views.py', './image_loader.py']

data_root = 'data/coco/'
train_dataloader = dict(
    batch_size=32,
    dataset=dict(data_root=data_root + 'train2017/', pipeline=_base_.leopart_pipeline),
)
