# Cityscapes, 19 classes: maps *_gtFine_labelTrainIds.png of cityscapesScripts, as for mmseg, in a
# folder a city.
data_root = 'data/cityscapes/'
cityscapes = dict(
    type='SemanticFolder',
    classes='CityscapesDataset',
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
