# Generated scenes: mmdssl scenes data/scenes
# and their proposals (mmdssl proposals).
_base_ = ['./d3ssl_views_128px.py', './scenes_proposals.py', './cpu_image_loader.py']

d3ssl_pipeline = _base_.load + _base_.d3ssl_steps
wo_depos_pipeline = _base_.load + _base_.wo_depos_steps

train_dataloader = dict(
    batch_size=32,
    dataset=dict(data_root=_base_.data_root + 'train/', pipeline=d3ssl_pipeline),
)
