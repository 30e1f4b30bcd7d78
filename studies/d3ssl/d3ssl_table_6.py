"""Table 6 of "De-coupling and De-positioning Dense Self-supervised Learning": SoCo augmented.

    mmdssl study d3ssl/d3ssl_table_6 --scale scenes --seeds 0 1 2 --jobs 2

SoCo, 200 epochs of OpenImage-MINI, without and with D3SSL's three region augmentations at once; the
paper has no row of them one by one. Its coupling is the ratio of cosines with all of A in the
picture; the layer and the photos are not stated, here the last map and those of COCO.
"""

from mmdssl.studies import Published, Row, Setting, Study

JUDGES = {
    'paper': 'transfer/voc_detection/faster-rcnn_r50-c4_8xb2-24k_voc0712.py',
    'scenes': 'transfer/voc_detection/faster-rcnn_r18w32-c4_1xb4-300i_scenes-voc.py',
}
SCENES = 'scenes/soco_r18w32-128px_1xb32-250i_scenes.py'
AUGMENTED = [
    dict(type='ProposalRandomCutout', ratio=(0.2, 0.5), regions_key='regions'),
    dict(type='ProposalRandomMask', scale=(0.2, 0.6), aspect=(3 / 4, 4 / 3), regions_key='regions'),
    dict(type='RestrictedBoxJitter', ratio=0.1),
]
FINISH = {'train_dataloader.dataset.pipeline.2.finish': [AUGMENTED, AUGMENTED]}


def settings(ending: str) -> dict[str, Setting]:
    """By scale."""
    paper = f'openimages_mini/soco{ending}_resnet50-c4_16xb64-coslr-200e_openimages-mini.py'
    return {
        'paper': Setting(config=paper, transfer=JUDGES['paper']),
        'scenes': Setting(
            config=SCENES, transfer=JUDGES['scenes'], options=FINISH if ending else {}
        ),
    }


study = Study(
    title='D3SSL, Table 6: region augmentations of SoCo',
    measures=('transfer', 'cost'),
    rows=[
        Row(name='SoCo', settings=settings('')),
        Row(name='SoCo+Aug', role='variant', base='SoCo', settings=settings('-d3ssl-aug')),
    ],
    published=[
        Published(
            title='D3SSL, Table 6',
            columns={
                'transfer/pascal_voc/mAP': 'VOC Det. AP',
                'transfer/pascal_voc/AP50': 'VOC Det. AP50',
                'transfer/pascal_voc/AP75': 'VOC Det. AP75',
                'cr_inter_cosine/last@0/mean': 'CR',
            },
            rows={'SoCo': (55.3, 80.4, 61.6, 1.31), 'SoCo+Aug': (55.8, 81.2, 62.1, 1.20)},
        )
    ],
)
