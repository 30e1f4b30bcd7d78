# Generated scenes: mmdssl scenes data/scenes
# and their proposals (mmdssl proposals).
_base_ = ['./soco_views_128px.py', './scenes_proposals.py', './cpu_image_loader.py']

soco_pipeline = _base_.load + _base_.soco_steps
decoupled_pipeline = _base_.load + _base_.decoupled_steps
soco_rcc_pipeline = _base_.load + _base_.soco_rcc_steps

train_dataloader = dict(
    batch_size=32,
    dataset=dict(data_root=_base_.data_root + 'train/', pipeline=soco_pipeline),
)
