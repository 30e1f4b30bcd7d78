"""Table 4 of "Mind Your Augmentation" (ICLR 2024, Sec. 6.1): which mask the branch composes with.

    mmdssl study mind_your_augmentation/table_4 --scale scenes --seeds 0 1 2 --jobs 2

iBOT, 200 epochs of COCO; only the mask of the branch changes. Settings of the masks as in Table 10,
in patches. The mask tokens of iBOT itself are blocks without the branch and RCC with it, as the
public code of iBOT-D has them. So beside the paper's rows stands iBOT-RCC, which differs from those
with the branch by the branch alone, besides the usual controls.

On photos (configs/photos/README.md has what came out) iBOT goes on from a small ViT that learnt
from MobileNetV2 of ImageNet:

    mmdssl train configs/photos/crossdistill_vit-micro-p16-128px_1xb32-1500i_photos.py \\
        --work-dir distilled --amp bf16 --cfg-options data_root=PHOTOS
    ln -s distilled/iter_1500.pth vit-micro_distilled.pth
    mmdssl study mind_your_augmentation/table_4 --scale photos --data-root PHOTOS --seeds 0 1 2
"""

from mmdssl.studies import Published, Row, Setting, Study, controls

FILES = {
    'paper': 'ablations/ibot{}_vit-small-p16_8xb64-coslr-200e_coco.py',
    'photos-gpu': 'photos/ibot{}_vit-small-p16-128px_1xb256-3000i_photos.py',
    'photos': 'photos/ibot{}_vit-micro-p16-128px_1xb32-200i_photos.py',
    'scenes': 'scenes/ibot{}_vit-micro-p16_1xb24-250i_scenes.py',
}
JUDGES = {
    'paper': 'transfer/coco_detection/cascade-mask-rcnn_vit-small-p16_8xb4-1x_coco.py',
    'scenes': 'transfer/scenes_detection/cascade-mask-rcnn_vit-micro-p16_1xb4-300i_scenes.py',
}
GRID = dict(type='GridRegions', grid=3, scale=(0.12, 0.30))
MASKS = {
    'Rec': [dict(type='RectangleForeground', ratio=(0.4, 0.8), aspect=(2 / 3, 3 / 2))],
    'Ran': [dict(type='RandomPatchMask', ratio=(0.4, 0.6))],
    'Blc': [dict(type='BlockwiseMask', ratio=(0.3, 0.5))],
    'Cutout': [GRID, dict(type='ProposalCutout', ratio=(0.3, 0.5))],
    'RCC': [GRID, dict(type='RegionCollaborativeCutout', ratio=(0.3, 0.5))],
}
MIM = [GRID, dict(type='RegionCollaborativeCutout', ratio=(0.2, 0.6), empty_prob=0.5)]


def settings(ending: str, mask: str = '') -> dict[str, Setting]:
    """By scale; the paper's config of a mask has it already."""
    return {
        scale: Setting(
            config=file.format(ending + mask if scale == 'paper' else ending),
            transfer=JUDGES.get(scale, ''),
            continues=scale == 'photos',
        )
        for scale, file in FILES.items()
    }


base = Row(name='iBOT', settings=settings(''))
study = Study(
    title='Table 4: mask types for de-coupling, iBOT',
    measures=('transfer', 'cost'),
    rows=[
        base,
        Row(
            name='iBOT-RCC',
            role='variant',
            base='iBOT',
            settings=settings(''),
            masks={'mask': MIM},
        ),
        *(
            Row(
                name=f'+DC_{kind}',
                role='decoupled',
                base='iBOT',
                settings=settings('-d', f'-{kind.lower()}'),
                masks={'dc_mask': steps},
                # Nothing supports the complement of a rectangle.
                options={'model.decoupling.complement_ratio': 0.0} if kind == 'Rec' else {},
            )
            for kind, steps in MASKS.items()
        ),
        *controls(base),
    ],
    published=[
        Published(
            title='Table 4',
            columns={
                'transfer/coco/bbox_mAP': 'COCO Det.',
                'oknn/top1': 'OKNN',
                'cr_inter/last/mean': 'CR Inter',
                'cr_intra/last/mean': 'CR Intra',
            },
            rows={
                'iBOT': (38.7, 69.9, 1.80, 0.17),
                '+DC_Rec': (39.3, 69.3, 1.32, 0.15),
                '+DC_Ran': (39.9, 70.9, 1.25, 0.10),
                '+DC_Blc': (41.1, 72.9, 1.28, 0.09),
                '+DC_Cutout': (39.2, 67.7, 1.26, 0.10),
                '+DC_RCC': (42.0, 74.1, 1.16, 0.04),
            },
        )
    ],
)
