"""Over-clustering of a frozen ViT-S/16 on COCO-Stuff val2017, 15 coarse classes: K=500.

Reproduces: "Mind Your Augmentation" (ICLR 2024), Table 7, column COCO-Stuff K=500.
Command: mmdssl test
    configs/transfer/overclustering/overclustering-k500_vit-small-p16_coco-stuff.py CHECKPOINT
    Below data/coco/ also annotations/stuff_val2017_pixelmaps/ and annotations/stuff_val2017.json
    (stuff_annotations_trainval2017.zip).
Costs: 5000 images and 6 GB of features, then five k-means. Not measured.
Published: Leopart 44.4, Leopart-D 45.3 mIoU (rule 'precision', as the official code has it).
Measured: not measured.
"""

_base_ = './overclustering-k500_vit-small-p16_voc12.py'

data_root = 'data/coco/'
stuff_classes = (
    'building', 'ceiling', 'floor', 'food-stuff', 'furniture-stuff', 'ground', 'plant',
    'raw-material', 'sky', 'solid', 'structural', 'textile', 'wall', 'water', 'window',
)  # fmt: skip
test_dataloader = dict(
    dataset=dict(
        classes=stuff_classes,
        data_root=data_root,
        data_prefix=dict(img_path='val2017', seg_map_path='annotations/stuff_val2017_pixelmaps'),
        ann_file='',
        category_file='annotations/stuff_val2017.json',
    ),
)
