"""Table 6 of "Mind Your Augmentation" (ICLR 2024, Sec. 6.3): RCC for the masks of dense methods.

    mmdssl study mind_your_augmentation/table_6 --scale scenes --seeds 0 1 2 --jobs 2

SoCo and iBOT, 800 epochs of COCO, without the branch: RCC in place of the square that SoCo cuts out
of every second box, and in place of iBOT's blocks. On photos SoCo begins with nothing and iBOT as
in Table 4.
"""

from mmdssl.studies import Published, Row, Setting, Study

DETECTION = 'transfer/coco_detection/'
SCENES = 'transfer/scenes_detection/'
SOCO = {
    'photos': ('photos/soco{}_r18w32-96px_1xb64-600i_photos.py', ''),
    'paper': (
        'soco/soco{}_resnet50-c4_16xb64-coslr-800e_coco.py',
        f'{DETECTION}mask-rcnn_r50-c4_8xb2-90k_coco.py',
    ),
    'scenes': (
        'scenes/soco{}_r18w32-128px_1xb32-250i_scenes.py',
        f'{SCENES}mask-rcnn_r18w32-c4_1xb4-300i_scenes.py',
    ),
}
IBOT = {
    'paper': (
        'ibot/ibot_vit-small-p16_8xb64-coslr-800e_coco.py',
        f'{DETECTION}cascade-mask-rcnn_vit-small-p16_8xb4-1x_coco.py',
    ),
    'photos-gpu': ('photos/ibot_vit-small-p16-128px_1xb256-3000i_photos.py', ''),
    'photos': ('photos/ibot_vit-micro-p16-128px_1xb32-200i_photos.py', ''),
    'scenes': (
        'scenes/ibot_vit-micro-p16_1xb24-250i_scenes.py',
        f'{SCENES}cascade-mask-rcnn_vit-micro-p16_1xb4-300i_scenes.py',
    ),
}
# Half of the views plain, the others RCC of a 3 x 3 grid: those of the public iBOT-D run.
RCC = [
    dict(type='GridRegions', grid=3, scale=(0.12, 0.30)),
    dict(type='RegionCollaborativeCutout', ratio=(0.2, 0.6), empty_prob=0.5),
]


def settings(
    files: dict[str, tuple[str, str]], ending: str = '', photos_iters: int | None = None
) -> dict[str, Setting]:
    """By scale."""
    return {
        scale: Setting(
            config=config.format(ending),
            transfer=transfer,
            iters=photos_iters if scale == 'photos' else None,
            continues=scale == 'photos' and files is IBOT,
        )
        for scale, (config, transfer) in files.items()
    }


study = Study(
    title='Table 6: mask types for dense SSL',
    measures=('transfer', 'cost'),
    rows=[
        # On photos in half of the iterations that the config has.
        Row(name='SoCo', settings=settings(SOCO, photos_iters=300)),
        Row(
            name='SoCo-RCC',
            role='variant',
            base='SoCo',
            settings=settings(SOCO, '-rcc', photos_iters=300),
        ),
        Row(name='iBOT', settings=settings(IBOT)),
        Row(
            name='iBOT-RCC',
            role='variant',
            base='iBOT',
            settings=settings(IBOT),
            masks={'mask': RCC},
        ),
    ],
    published=[
        Published(
            title='Table 6',
            columns={
                'transfer/coco/bbox_mAP': 'COCO Det.',
                'transfer/coco/segm_mAP': 'COCO ISeg.',
                'oknn/top1': 'OKNN',
                'cr_inter/last/mean': 'CR Inter',
            },
            rows={
                'SoCo': (38.5, 33.4, 73.5, 1.15),
                'SoCo-RCC': (38.9, 33.9, 74.4, 1.10),
                'iBOT': (42.3, 37.0, 75.2, 1.43),
                'iBOT-RCC': (43.1, 37.6, 76.8, 1.35),
            },
        )
    ],
)
