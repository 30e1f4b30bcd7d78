"""Table 1 of "Mind Your Augmentation" (ICLR 2024, Sec. 5.2): networks of convolutions, fine-tuned.

    mmdssl study mind_your_augmentation/table_1 --scale scenes --seeds 0 1 2 --jobs 2

ResNet-50, 800 epochs of COCO, judged by Faster R-CNN C4 on VOC and Mask R-CNN C4 on COCO. ReSim is
its C4 form, as we read it (configs/resim). All nine numbers of SoCo-D are those of D3SSL in the
table of D3SSL's own paper, an older method: one result, not two.
"""

from mmdssl.studies import Published, Row, Setting, Study

JUDGES = {
    'paper': (
        'transfer/voc_detection/faster-rcnn_r50-c4_8xb2-24k_voc0712.py',
        'transfer/coco_detection/mask-rcnn_r50-c4_8xb2-90k_coco.py',
    ),
    'scenes': (
        'transfer/voc_detection/faster-rcnn_r18w32-c4_1xb4-300i_scenes-voc.py',
        'transfer/scenes_detection/mask-rcnn_r18w32-c4_1xb4-300i_scenes.py',
    ),
}


def settings(paper: str, scenes: str) -> dict[str, Setting]:
    """By scale, from what names the configs."""
    files = {
        'paper': f'{paper}-coslr-800e_coco.py',
        'scenes': f'scenes/{scenes}_r18w32-128px_1xb32-250i_scenes.py',
    }
    return {scale: Setting(config=file, transfer=JUDGES[scale]) for scale, file in files.items()}


DENSECL, SOCO = 'densecl/densecl{}_resnet50_8xb32', 'soco/soco{}_resnet50-c4_16xb64'
study = Study(
    title='Table 1: main results of networks of convolutions',
    measures=('transfer', 'cost'),
    rows=[
        Row(name='MoCo v2', settings=settings('densecl/mocov2_resnet50_8xb32', 'mocov2')),
        Row(name='ReSim', settings=settings('resim/resim-c4_resnet50_8xb32', 'resim')),
        Row(name='DenseCL', settings=settings(DENSECL.format(''), 'densecl')),
        Row(
            name='DenseCL-D',
            role='decoupled',
            base='DenseCL',
            settings=settings(DENSECL.format('-d'), 'densecl-d'),
        ),
        Row(name='PLRC', settings=settings('plrc/plrc_resnet50_8xb32', 'plrc')),
        Row(name='SoCo', settings=settings(SOCO.format(''), 'soco')),
        Row(
            name='SoCo-D',
            role='decoupled',
            base='SoCo',
            settings=settings(SOCO.format('-d'), 'soco-d'),
        ),
    ],
    published=[
        Published(
            title='Table 1',
            columns={
                'transfer/pascal_voc/mAP': 'VOC Det. AP',
                'transfer/pascal_voc/AP50': 'VOC Det. AP50',
                'transfer/pascal_voc/AP75': 'VOC Det. AP75',
                'transfer/coco/bbox_mAP': 'COCO Det. AP',
                'transfer/coco/bbox_mAP_50': 'COCO Det. AP50',
                'transfer/coco/bbox_mAP_75': 'COCO Det. AP75',
                'transfer/coco/segm_mAP': 'COCO ISeg. AP',
                'transfer/coco/segm_mAP_50': 'COCO ISeg. AP50',
                'transfer/coco/segm_mAP_75': 'COCO ISeg. AP75',
            },
            rows={
                'MoCo v2': (54.6, 81.0, 60.4, 37.8, 57.4, 41.0, 32.9, 54.1, 35.2),
                'ReSim': (56.6, 81.7, 63.5, 38.3, 57.8, 41.4, 33.5, 54.4, 35.6),
                'DenseCL': (56.7, 81.7, 63.0, 38.5, 58.1, 41.5, 33.6, 54.8, 35.7),
                'DenseCL-D': (57.2, 82.2, 63.7, 39.3, 58.7, 42.6, 34.2, 55.7, 36.5),
                'PLRC': (57.1, 82.1, 63.8, 39.8, 59.6, 43.7, 35.9, 56.9, 38.6),
                'SoCo': (56.8, 81.7, 63.5, 38.5, 57.9, 41.5, 33.4, 54.6, 35.4),
                'SoCo-D': (57.8, 82.5, 64.4, 40.3, 60.1, 44.0, 35.1, 56.9, 37.6),
            },
        )
    ],
)
