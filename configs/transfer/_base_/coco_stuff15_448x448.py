# COCO-Stuff, 15 coarse classes (super-categories; "other" and things ignored), a random tenth of
# train2017 -> val2017. Needs stuff_annotations_trainval2017.zip, pixel maps unpacked.
_base_ = './voc12aug_448x448.py'

data_root = 'data/coco/'
stuff_classes = (
    'building', 'ceiling', 'floor', 'food-stuff', 'furniture-stuff', 'ground', 'plant',
    'raw-material', 'sky', 'solid', 'structural', 'textile', 'wall', 'water', 'window',
)  # fmt: skip
train_dataloader = dict(
    dataset=dict(
        classes=stuff_classes,
        category_file='annotations/stuff_train2017.json',
        data_root=data_root,
        data_prefix=dict(
            img_path='train2017', seg_map_path='annotations/stuff_train2017_pixelmaps'
        ),
        ann_file='',
        share=0.1,
    )
)
val_dataloader = dict(
    dataset=dict(
        classes=stuff_classes,
        category_file='annotations/stuff_val2017.json',
        data_root=data_root,
        data_prefix=dict(img_path='val2017', seg_map_path='annotations/stuff_val2017_pixelmaps'),
        ann_file='',
    )
)
test_dataloader = val_dataloader
