# COCO photos in small views.
_base_ = ['./ibot_views_128px.py', './cpu_image_loader.py']

data_root = 'data/coco/'
train_dataloader = dict(
    batch_size=32,
    dataset=dict(data_root=data_root + 'train2017/', pipeline=_base_.block_pipeline),
)
