"""Table 2 of "Mind Your Augmentation" (ICLR 2024, Sec. 5.2): vision transformers, fine-tuned.

    mmdssl study mind_your_augmentation/table_2 --scale scenes --seeds 0 1 2 --jobs 2

ViT-S/16, 800 epochs of COCO, judged by Cascade Mask R-CNN on COCO and UPerNet on ADE20K. MaskAlign
learns from a network that is there already: from CLIP at the scale ``paper``, from one with random
weights at ``smoke``. With a teacher trained on scenes it stands in ``controlled``.
"""

from mmdssl.studies import Published, Row, Setting, Study

JUDGES = {
    'paper': (
        'transfer/coco_detection/cascade-mask-rcnn_vit-small-p16_8xb4-1x_coco.py',
        'transfer/ade20k_segmentation/upernet_vit-small-p16_8xb2-160k_ade20k-512x512.py',
    ),
    'scenes': (
        'transfer/scenes_detection/cascade-mask-rcnn_vit-micro-p16_1xb4-300i_scenes.py',
        'transfer/scenes_segmentation/upernet_vit-micro-p16_1xb8-300i_scenes.py',
    ),
}
JUDGES['smoke'] = JUDGES['scenes']
IBOT = {
    'paper': 'ibot/ibot{}_vit-small-p16_8xb64-coslr-800e_coco.py',
    'scenes': 'scenes/ibot{}_vit-micro-p16_1xb24-250i_scenes.py',
}
IBOT['smoke'] = IBOT['scenes']
MASKALIGN = {
    'paper': 'maskalign/maskalign{}_vit-small-p16_8xb128-coslr-800e_coco.py',
    'smoke': 'scenes/maskalign{}_vit-micro-p16_1xb32-250i_scenes.py',
}
NO_TEACHER = {'smoke': {'model.teacher.checkpoint': None, 'model.teacher.init': 'random'}}


def pair(name: str, files: dict[str, str], options: dict[str, dict]) -> list[Row]:
    """A host, and the host with the branch."""

    def settings(ending: str) -> dict[str, Setting]:
        return {
            scale: Setting(
                config=file.format(ending), transfer=JUDGES[scale], options=options.get(scale, {})
            )
            for scale, file in files.items()
        }

    return [
        Row(name=name, settings=settings('')),
        Row(name=f'{name}-D', role='decoupled', base=name, settings=settings('-d')),
    ]


study = Study(
    title='Table 2: main results of vision transformers',
    measures=('transfer', 'cost'),
    rows=[*pair('iBOT', IBOT, {}), *pair('MaskAlign', MASKALIGN, NO_TEACHER)],
    published=[
        Published(
            title='Table 2',
            columns={
                'transfer/coco/bbox_mAP': 'COCO Det. AP',
                'transfer/coco/bbox_mAP_50': 'COCO Det. AP50',
                'transfer/coco/bbox_mAP_75': 'COCO Det. AP75',
                'transfer/coco/segm_mAP': 'COCO ISeg. AP',
                'transfer/coco/segm_mAP_50': 'COCO ISeg. AP50',
                'transfer/coco/segm_mAP_75': 'COCO ISeg. AP75',
                'transfer/mIoU': 'ADE Seg. mIoU',
            },
            rows={
                'iBOT': (42.3, 61.2, 45.6, 37.0, 58.3, 39.4, 39.9),
                'iBOT-D': (45.1, 64.3, 48.7, 39.1, 61.2, 41.7, 41.6),
                'MaskAlign': (45.6, 65.2, 49.7, 39.6, 62.0, 42.4, 43.7),
                'MaskAlign-D': (46.7, 66.4, 50.5, 40.5, 63.2, 43.5, 44.3),
            },
        )
    ],
)
