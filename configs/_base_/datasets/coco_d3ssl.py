# COCO train2017, labels unused, with proposals that are made once: mmdssl proposals
# (see its --help).
_base_ = ['./d3ssl_views.py', './coco_proposals.py', './image_loader.py']

d3ssl_pipeline = _base_.load + _base_.d3ssl_steps
wo_depos_pipeline = _base_.load + _base_.wo_depos_steps

efficiency = dict(channels_last=True)  # a ResNet-50 then takes 0.87 of the time on a CPU
train_dataloader = dict(
    batch_size=32,
    dataset=dict(data_root=_base_.data_root + 'train2017/', pipeline=d3ssl_pipeline),
)
