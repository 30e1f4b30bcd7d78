# COCO photos in small views, with stored proposals (mmdssl proposals).
_base_ = ['./d3ssl_views_128px.py', './coco_proposals.py', './cpu_image_loader.py']

d3ssl_pipeline = _base_.load + _base_.d3ssl_steps
wo_depos_pipeline = _base_.load + _base_.wo_depos_steps

train_dataloader = dict(
    batch_size=32,
    dataset=dict(data_root=_base_.data_root + 'train2017/', pipeline=d3ssl_pipeline),
)
