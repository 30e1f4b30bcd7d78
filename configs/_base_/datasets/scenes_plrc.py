# Generated scenes: mmdssl scenes data/scenes
_base_ = ['./plrc_views_128px.py', './cpu_image_loader.py']

data_root = 'data/scenes/'
train_dataloader = dict(
    batch_size=32,
    dataset=dict(data_root=data_root + 'train/', pipeline=_base_.plrc_pipeline),
)
