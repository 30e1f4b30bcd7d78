# FCN probe: two 3 x 3 convolutions of 512 channels, one on their result beside the features, no
# norm. model.freeze_backbone=False trains the backbone as well, as "Mind Your Augmentation" says it
# does.
_base_ = './probe_vit-small-p16.py'

model = dict(
    freeze_backbone=True,
    decode_head=dict(channels=512, num_convs=2, concat_input=True, dropout_ratio=0.1),
)
