"""Table 10 of "Mind Your Augmentation" (ICLR 2024, App. G.1): which mask the branch composes with.

    mmdssl study mind_your_augmentation/table_10 --scale scenes --seeds 0 1 2 --jobs 2

DenseCL, 200 epochs of COCO; only the mask of the branch changes. The appendix gives the settings:
DC_Rec leaves one rectangle of 0.2 to 0.6 of the image, aspect 2/3 to 3/2, as foreground; DC_Ran
cuts 0.4 to 0.6 of the patches; the others cut 0.3 to 0.5. Here the masks of a CNN are drawn in
pixels (blocks) or patches of 16 px (DC_Ran), and regions are a 3 x 3 grid.

On photos (configs/photos/README.md has what came out) DenseCL goes on from MobileNetV2 of ImageNet:

    mmdssl study mind_your_augmentation/table_10 --scale photos --data-root PHOTOS --seeds 1 2 3

where mmpretrain's mobilenet_v2_batch256_imagenet lies in the current folder as
mobilenet_v2_imagenet.pth.

Beside the paper's rows: the controls of the base, without which less coupling may be less learning.
"""

import dataclasses
from pathlib import Path

from mmdssl.studies import EARLY, Published, Row, Setting, Study, controls, load_study, with_config

PAPER = 'densecl{}_resnet50_8xb32-coslr-200e_coco.py'
FILES = {
    'paper': f'densecl/{PAPER}',
    'photos-gpu': 'photos/densecl{}_r18-128px_1xb256-3000i_photos.py',
    'scenes': 'scenes/densecl{}_r18w32-128px_1xb32-250i_scenes.py',
}
JUDGES = {
    'paper': 'transfer/voc_detection/faster-rcnn_r50-c4_8xb2-24k_voc0712.py',
    'scenes': 'transfer/voc_detection/faster-rcnn_r18w32-c4_1xb4-300i_scenes-voc.py',
}
# On photos DenseCL goes on from a given backbone: from nothing it learns too little in minutes.
GIVEN = load_study(Path(__file__).parents[1] / 'photos/post_training.py')
GRID = dict(type='GridRegions', grid=3, scale=(0.12, 0.30))
MASKS = {
    'Rec': [dict(type='RectangleForeground', ratio=(0.4, 0.8), aspect=(2 / 3, 3 / 2))],
    'Ran': [dict(type='RandomPatchMask', ratio=(0.4, 0.6), patch_size=16)],
    'Cutout': [GRID, dict(type='ProposalCutout', ratio=(0.3, 0.5))],
    'Blc': [dict(type='BlockwiseMask', ratio=(0.3, 0.5))],
    'RCC': [GRID, dict(type='RegionCollaborativeCutout', ratio=(0.3, 0.5))],
}


def settings(ending: str) -> dict[str, Setting]:
    """By scale."""
    given = GIVEN.row(f'densecl{ending}').settings['judge']
    return {
        scale: Setting(config=file.format(ending), transfer=JUDGES.get(scale, ''))
        for scale, file in FILES.items()
    } | {'photos': dataclasses.replace(given, iters=100, warmup=10, transfer=())}


def with_mask(kind: str) -> dict[str, Setting]:
    """Those of the branch, in the paper's the config that has the mask already."""
    if kind == 'RCC':
        return settings('-d')
    file = f'ablations/{PAPER.format(f"-d-{kind.lower()}")}'
    return with_config(settings('-d'), 'paper', file)


base = Row(name='DenseCL', settings=settings(''))
study = Study(
    title='Table 10: mask types for de-coupling, DenseCL',
    measures=('transfer', 'cost'),
    scales={
        'photos': dataclasses.replace(
            GIVEN.scales['judge'], shares=(0.0, EARLY, 1.0), partners_along=False, amp='bf16'
        )
    },
    rows=[
        base,
        *(
            Row(
                name=f'+DC_{kind}',
                role='decoupled',
                base='DenseCL',
                settings=with_mask(kind),
                masks={'dc_mask': steps},
            )
            for kind, steps in MASKS.items()
        ),
        *controls(base),
    ],
    published=[
        Published(
            title='Table 10',
            columns={
                'transfer/pascal_voc/mAP': 'VOC Det.',
                'oknn/top1': 'OKNN',
                'cr_inter/last/mean': 'CR Inter',
                'cr_intra/last/mean': 'CR Intra',
            },
            rows={
                'DenseCL': (55.0, 67.5, 1.64, 0.31),
                '+DC_Rec': (55.2, 66.7, 1.25, 0.24),
                '+DC_Ran': (55.5, 69.3, 1.22, 0.17),
                '+DC_Cutout': (54.6, 65.1, 1.30, 0.25),
                '+DC_Blc': (55.3, 69.0, 1.16, 0.20),
                '+DC_RCC': (55.9, 70.0, 1.18, 0.12),
            },
        )
    ],
)
