# COCO-Stuff, 15 coarse classes (super-categories; "other" and things ignored). Needs
# stuff_annotations_trainval2017.zip, pixel maps unpacked.
data_root = 'data/coco/'
stuff_classes = (
    'building', 'ceiling', 'floor', 'food-stuff', 'furniture-stuff', 'ground', 'plant',
    'raw-material', 'sky', 'solid', 'structural', 'textile', 'wall', 'water', 'window',
)  # fmt: skip
bank_part = dict(
    type='SemanticFolder',
    classes=stuff_classes,
    category_file='annotations/stuff_train2017.json',
    data_prefix=dict(img_path='train2017', seg_map_path='annotations/stuff_train2017_pixelmaps'),
)
query_part = dict(
    type='SemanticFolder',
    classes=stuff_classes,
    category_file='annotations/stuff_val2017.json',
    data_prefix=dict(img_path='val2017', seg_map_path='annotations/stuff_val2017_pixelmaps'),
)
ignored = ()
