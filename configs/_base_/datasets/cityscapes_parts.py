# Cityscapes, 19 classes: maps *_gtFine_labelTrainIds.png of cityscapesScripts, as for mmseg, in a
# folder a city.
data_root = 'data/cityscapes/'
cityscapes_classes = (
    'road', 'sidewalk', 'building', 'wall', 'fence', 'pole', 'traffic light', 'traffic sign',
    'vegetation', 'terrain', 'sky', 'person', 'rider', 'car', 'truck', 'bus', 'train',
    'motorcycle', 'bicycle',
)  # fmt: skip
cityscapes = dict(
    type='SemanticFolder',
    classes=cityscapes_classes,
    recursive=True,
    img_suffix='_leftImg8bit.png',
    seg_map_suffix='_gtFine_labelTrainIds.png',
)
bank_part = dict(
    cityscapes, data_prefix=dict(img_path='leftImg8bit/train', seg_map_path='gtFine/train')
)
query_part = dict(
    cityscapes, data_prefix=dict(img_path='leftImg8bit/val', seg_map_path='gtFine/val')
)
ignored = ()
