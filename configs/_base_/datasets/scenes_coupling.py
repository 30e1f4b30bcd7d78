# Coupling on validation images of generated scenes at 128 px. Every scene has several objects, so
# the pairs are cut out of them (source='crop') instead of taken from single-object images.
_base_ = './coco_coupling.py'

_files = dict(
    data_root='data/scenes/', ann_file='annotations/instances_val.json', data_prefix='val/'
)
_loader = dict(batch_size=16, num_workers=1, persistent_workers=True)

coupling_diagnostics = dict(
    inter=dict(
        dataloader=dict(
            **_loader,
            dataset=dict(num=100, size=128, source='crop', min_side=20, **_files),
        ),
    ),
    background=dict(
        dataloader=dict(**_loader, dataset=dict(num=200, size=128, **_files)),
    ),
    intra=dict(
        dataloader=dict(**_loader, dataset=dict(num=200, size=128, min_part=0.005, **_files)),
    ),
)
