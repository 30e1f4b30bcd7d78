# COCO train2017, labels unused, with proposals that are made once: mmdssl proposals
# (see its --help).
_base_ = ['./soco_views.py', './coco_proposals.py', './image_loader.py']

soco_pipeline = _base_.load + _base_.soco_steps
decoupled_pipeline = _base_.load + _base_.decoupled_steps
soco_rcc_pipeline = _base_.load + _base_.soco_rcc_steps

efficiency = dict(channels_last=True)  # a ResNet-50 then takes 0.87 of the time on a CPU
train_dataloader = dict(
    batch_size=64,
    dataset=dict(data_root=_base_.data_root + 'train2017/', pipeline=soco_pipeline),
)
