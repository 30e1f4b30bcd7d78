"""Table 7 of "De-coupling and De-positioning Dense Self-supervised Learning": de-positioning.

    mmdssl study d3ssl/d3ssl_table_7 --scale scenes --seeds 0 1 2 --jobs 2

D3SSL, 200 epochs of COCO, with and without L_dp. The paper takes coupling, a ratio of cosines with
all of A in the picture, and MCS on photos of OpenImage-MINI, and does not say of which layer; here
it is the last map, and photos of COCO.
"""

from mmdssl.studies import Published, Row, Setting, Study

FILES = {
    'paper': 'd3ssl/d3ssl{}_resnet50-c4_8xb32-coslr-200e_coco.py',
    'photos': 'photos/d3ssl{}_r18w32-96px_1xb32-400i_photos.py',
    'scenes': 'scenes/d3ssl{}_r18w32-128px_1xb32-250i_scenes.py',
}
JUDGES = {
    'paper': 'transfer/voc_detection/faster-rcnn_r50-c4_8xb2-24k_voc0712.py',
    'scenes': 'transfer/voc_detection/faster-rcnn_r18w32-c4_1xb4-300i_scenes-voc.py',
}


def settings(ending: str) -> dict[str, Setting]:
    """By scale."""
    return {
        scale: Setting(config=file.format(ending), transfer=JUDGES.get(scale, ''))
        for scale, file in FILES.items()
    }


study = Study(
    title='D3SSL, Table 7: the de-positioning loss',
    measures=('position', 'transfer', 'cost'),
    rows=[
        Row(name='w/o L_dp', settings=settings('-wo-depos')),
        Row(name='w/ L_dp', role='variant', base='w/o L_dp', settings=settings('')),
    ],
    published=[
        Published(
            title='D3SSL, Table 7',
            columns={
                'cr_inter_cosine/last@0/mean': 'CR',
                'mcs/last/mean': 'MCS',
                'transfer/pascal_voc/mAP': 'VOC Det. AP',
            },
            rows={'w/o L_dp': (1.33, 0.68, 55.5), 'w/ L_dp': (1.17, 0.82, 57.0)},
        )
    ],
)
