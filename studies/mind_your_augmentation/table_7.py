"""Table 7 of "Mind Your Augmentation" (ICLR 2024, App. E.3): Leopart, frozen and segmented.

    mmdssl study mind_your_augmentation/table_7 --scale paper --seeds 0

50 epochs of COCO that begin with DINO's ViT-S/16 (random weights at ``smoke``). Measured by the
study is the linear probe on VOC12; the other columns have configs of their own, below
configs/transfer (FCN, COCO-Stuff, overclustering with K = 500). After iBOT on scenes Leopart stands
in ``controlled``.
"""

from mmdssl.studies import Published, Row, Setting, Study

FILES = {
    'paper': 'leopart/leopart{}_vit-small-p16_2xb32-coslr-50e_coco.py',
    'smoke': 'scenes/leopart{}_vit-micro-p16_1xb24-200i_scenes.py',
}
JUDGES = {
    'paper': 'transfer/voc12_segmentation/linear_vit-small-p16_2xb60-25e_voc12aug-448x448.py',
    'smoke': 'transfer/scenes_segmentation/linear_vit-micro-p16_1xb16-300i_scenes.py',
}
START = {'smoke': {'model.init': 'random'}}


def settings(ending: str) -> dict[str, Setting]:
    """By scale."""
    return {
        scale: Setting(
            config=file.format(ending), transfer=JUDGES[scale], options=START.get(scale, {})
        )
        for scale, file in FILES.items()
    }


study = Study(
    title='Table 7: semantic segmentation after Leopart',
    measures=('transfer', 'cost'),
    rows=[
        Row(name='Leopart', continues=True, settings=settings('')),
        Row(
            name='Leopart-D',
            role='decoupled',
            base='Leopart',
            continues=True,
            settings=settings('-d'),
        ),
    ],
    published=[
        Published(
            title='Table 7',
            columns={
                'transfer/mIoU': 'VOC12 LC',
                'fcn/voc12/mIoU': 'VOC12 FCN',
                'overclustering/voc12/mIoU': 'VOC12 K=500',
                'linear/coco_stuff/mIoU': 'COCO-Stuff LC',
                'overclustering/coco_stuff/mIoU': 'COCO-Stuff K=500',
            },
            rows={
                'Leopart': (65.0, 67.2, 45.2, 52.5, 44.4),
                'Leopart-D': (66.5, 68.9, 48.2, 53.2, 45.3),
            },
        )
    ],
)
